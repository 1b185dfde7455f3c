// Where `aether dev` runs an app, and all that differs from one place to the other: by control, in pods that the developer has
// rights on, or on this machine.

import type { Output } from '../basics/output.ts'
import type { DevTree } from './dev-tree.ts'

export interface DevPlace {
  /** For the first line, after `for <app>`: where that is. */
  readonly name: string
  /** Makes the release of what the tree holds now. */
  pack(tree: DevTree): Promise<DevRelease>
  /** Digests that serve now. */
  serving(): Promise<readonly string[]>
  /** The app's own lines, until `signal` is aborted. */
  showLogs(output: Output, signal: AbortSignal): Promise<void>
  /** The last line, after `close`: what became of the app. `served` is the digest that came to serve last, if one did. */
  farewell(served: string | undefined): string | undefined
  /** Ends what it started. */
  close(): Promise<void>
}

/** One release on its way, step by step. */
export interface DevRelease {
  readonly digest: string
  /** Brings it to where the pods can fetch it. */
  upload(): Promise<void>
  /** Says to the pods that they shall run it. */
  deploy(): Promise<void>
  /** Resolves when it serves; throws a Failure, with the reason as its code, where it does not come up. */
  waitUntilServing(signal: AbortSignal): Promise<void>
}
