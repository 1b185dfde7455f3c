// What a refresh answers, apart from what it takes to make one (refresh.ts), which an idle agent has not loaded.
import type { Activation } from '@aether/contract/activation'

/** Of a tree: the delta from the release before, parts of the full pack, or all of it. */
export type TreeSource = 'delta' | 'ranges' | 'full'

/** Where the files came from; `reused` is a release that was on disk. */
export type Source = 'archive' | TreeSource | 'reused'

/** What was brought, and what did not have to be. */
export interface Brought {
  readonly source: Source
  /** Bytes over the wire; of a release that was on disk, those that it once took. */
  readonly bytes: number
  /** Files and links of the release before that are those of the new one too. */
  readonly reusedFiles: number
  readonly reusedBytes: number
  /** Sources that were given up. */
  readonly refusedSources: readonly TreeSource[]
}

export interface Refreshed extends Brought {
  readonly activation: Activation
  /** Already on disk: nothing was downloaded. */
  readonly reused: boolean
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
  const nothing = {
    bytes: 0,
    reusedFiles: 0,
    reusedBytes: 0,
    verifyMs: 0,
    fetchMs: 0,
    extractMs: 0,
    activateMs: 0,
  }
  return { activation, reused: true, source: 'reused', refusedSources: [], warnings: [], keyId: undefined, ...nothing }
}
