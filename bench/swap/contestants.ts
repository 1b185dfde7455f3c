// Who is measured: something that serves an app and can bring it to another version.
import type { Target } from './client/protocol.ts'

export interface Contestant {
  readonly name: string
  readonly isOurs: boolean
  readonly targets: readonly Target[]
  /** The version that it is at. */
  version(): string
  /** Brings the app to the version; resolves when it has said that it did, with the moment of the change: the new
   * files lay there, and nothing had been told of them yet. Undefined for who stands for the app alone. */
  readonly change: ((version: string) => Promise<number>) | undefined
  /** It starts an app that ended by itself. */
  readonly restarts: boolean
  /** Makes it forget that the app ever did, since whoever ends again and again is started ever later. */
  renew(): Promise<void>
  /** What lives for it, from the oldest to the youngest. */
  processes(): readonly Process[]
  stop(): Promise<void>
}

export interface Process {
  readonly role: string
  readonly pid: number
}
