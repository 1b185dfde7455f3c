// What a refresh answers, apart from what it takes to make one (refresh.ts), which an idle agent has not loaded.
import type { Activation } from '@aether/contract/activation'

export interface Refreshed {
  readonly activation: Activation
  /** Already on disk: nothing was downloaded. */
  readonly reused: boolean
  /** Size of the artifact, downloaded or not. */
  readonly bytes: number
  readonly warnings: readonly string[]
  readonly keyId: string | undefined
  /** Milliseconds. Fetching and extracting overlap: `extractMs` is the part of `fetchMs` from the first bytes on. */
  readonly verifyMs: number
  readonly fetchMs: number
  readonly extractMs: number
  readonly activateMs: number
}

/** An activation made earlier that is served already, as the outcome of a refresh with nothing to do. */
export function refreshedBefore(activation: Activation): Refreshed {
  const nothing = { bytes: 0, verifyMs: 0, fetchMs: 0, extractMs: 0, activateMs: 0 }
  return { activation, reused: true, warnings: [], keyId: undefined, ...nothing }
}
