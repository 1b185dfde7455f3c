// How many bytes releases take together, where those made from one another share inodes. From their records alone: a file that is
// shared counts once, and where the records cannot say, the answer is too large rather than too small.
import type { Digest } from '@aether/contract/digest'

/** A release that was made from another, or from one that was. */
export interface Ancestor {
  readonly digest: Digest
  readonly bytes: number
  /** Bytes at most that the later one has and this one has not. */
  readonly freshBytes: number
}

export interface Share {
  readonly digest: Digest
  readonly bytes: number
  readonly ancestors: readonly Ancestor[]
}

const mostAncestors = 16

/** The ancestors of a release that is made from `base`, with so many bytes written for it. */
export function ancestorsOf(base: Share, freshBytes: number): readonly Ancestor[] {
  const earlier = base.ancestors.map((one) => ({ ...one, freshBytes: one.freshBytes + freshBytes }))
  return [{ digest: base.digest, bytes: base.bytes, freshBytes }, ...earlier].slice(0, mostAncestors)
}

export function bytesTogether(shares: readonly Share[]): number {
  return shares.reduce((sum, share, at) => sum + freshIn(share, shares.slice(0, at)), 0)
}

/** Bytes of a release that none of the others has, at most. */
function freshIn(share: Share, others: readonly Share[]): number {
  const own = lineOf(share)
  let least = share.bytes
  for (const other of others)
    for (const [digest, common] of lineOf(other)) {
      const mine = own.get(digest)
      if (mine === undefined) continue
      // What is not in their common ancestor, and what of that the other has not.
      const gone = common.bytes - (other.bytes - common.freshBytes)
      least = Math.min(least, mine.freshBytes + Math.max(0, gone))
    }
  return least
}

/** Itself and its ancestors. */
function lineOf({ digest, bytes, ancestors }: Share): ReadonlyMap<Digest, Ancestor> {
  return new Map([{ digest, bytes, freshBytes: 0 }, ...ancestors].map((one) => [one.digest, one]))
}
