// What a look at a file found, and whether a second look may believe it: the rule of git's index, by size, times and inode.
import { type BigIntStats } from 'node:fs'

export interface KnownFile {
  readonly size: number
  /** Nanoseconds. A write in place moves it, and so does a rename, whatever `utimes` said of the other. */
  readonly ctimeNs: bigint
  readonly mtimeNs: bigint
  readonly inode: bigint
  /** Wall clock in milliseconds, before the first byte was read. */
  readonly lookedAt: number
  readonly digest: string
}

/** The kernel's clock of files goes in steps of up to 10 ms, and is behind the one that `Date.now` asks. */
const stepMs = 20
/** Where times have no fraction of a second, they go in steps of one or two (FAT, HFS+, old NFS). */
const coarseStepMs = 2_100
const [nsPerMs, nsPerSecond] = [1_000_000n, 1_000_000_000n]

export function isUnchanged(known: KnownFile, stat: BigIntStats): boolean {
  return (
    known.inode === stat.ino &&
    known.mtimeNs === stat.mtimeNs &&
    known.ctimeNs === stat.ctimeNs &&
    BigInt(known.size) === stat.size &&
    isSettled(known)
  )
}

/**
 * Whether a write after the look would have another time for sure. Where the file was no older than the look, it may have been
 * written again in the same step of the clock: then its times say nothing.
 */
function isSettled({ mtimeNs, ctimeNs, lookedAt }: KnownFile): boolean {
  const newest = mtimeNs > ctimeNs ? mtimeNs : ctimeNs
  const isCoarse = mtimeNs % nsPerSecond === 0n && ctimeNs % nsPerSecond === 0n
  return Number(newest / nsPerMs) + (isCoarse ? coarseStepMs : stepMs) < lookedAt
}
