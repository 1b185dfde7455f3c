// After a swap a release is on probation: one that ends by itself again and again in it is taken back.
import type { Digest } from '@aether/contract/digest'

export interface Probation {
  /** A release begins to serve; `before` is what served well until then. */
  begin(before: Digest | null, digest: Digest): void
  /** A release ended by itself; answers what is to serve instead, where it is to be taken back. */
  ended(digest: Digest): Digest | undefined
}

const mostEnds = 3

export function createProbation(forMs: number): Probation {
  let current: { readonly before: Digest; readonly digest: Digest; readonly until: number } | undefined
  let ends = 0
  return {
    begin(before, digest) {
      ends = 0
      current = before === null || before === digest ? undefined : { before, digest, until: performance.now() + forMs }
    },
    ended(digest) {
      if (current === undefined || current.digest !== digest || performance.now() > current.until) return undefined
      ends++
      return ends < mostEnds ? undefined : current.before
    },
  }
}
