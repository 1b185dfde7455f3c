// Which parts of a full pack hold the files that are lacking: few requests, few bytes more than needed, and the sum, by which
// whoever asks sees from where on the whole pack is cheaper.
import { type PackIndex, placeFiles } from './index-pack.ts'
import { TreeError } from './tree-error.ts'
import type { WalkLimits } from './tree-walk.ts'

export interface PackRange {
  /** In the full pack: the first byte, and the one behind the last. */
  readonly from: number
  readonly to: number
  /** Of tar, once its frames are unpacked. */
  readonly unpackedBytes: number
  /** In order; offsets are in those bytes of tar. */
  readonly files: readonly RangeFile[]
}

export interface RangeFile {
  readonly digest: string
  readonly offset: number
  readonly size: number
}

export interface RangePlan {
  readonly ranges: readonly PackRange[]
  readonly bytes: number
  /** Of the whole pack. */
  readonly packBytes: number
}

export interface RangeLimits {
  readonly maxRanges: number
  /** Bytes that are fetched for nothing rather than by another request. */
  readonly maxGapBytes: number
}

interface Span {
  /** Numbers of frames: the first, and the one behind the last. */
  first: number
  end: number
}

/** `lacking` has digests of files. Throws TreeError where the index does not hold together, or a file is not in the tree. */
export function planRanges(
  root: string,
  index: PackIndex,
  lacking: ReadonlySet<string>,
  walk: WalkLimits,
  limits: RangeLimits,
): RangePlan {
  const frames = startsOf(index)
  const last = frames.at(-1)
  const files: RangeFile[] = []
  const found = new Set<string>()
  const spans: Span[] = []
  let at = 0
  for (const { entry, offset } of placeFiles(root, index, walk)) {
    if (entry.kind !== 'file' || !lacking.has(entry.digest) || found.has(entry.digest)) continue
    found.add(entry.digest)
    const end = offset + entry.size
    if (last === undefined || end > last.unpacked)
      throw new TreeError('malformed', 'the index has a file behind its end')
    files.push({ digest: entry.digest, offset, size: entry.size })
    // Files come in the order of the tar, so the frames are gone through once. A frame's end is the start of the next one.
    while ((frames[at + 1]?.unpacked ?? Number.POSITIVE_INFINITY) <= offset) at++
    let behind = at + 1
    while ((frames[behind]?.unpacked ?? Number.POSITIVE_INFINITY) < end) behind++
    const before = spans.at(-1)
    if (before !== undefined && at <= before.end) before.end = Math.max(before.end, behind)
    else spans.push({ first: at, end: behind })
  }
  if (found.size < lacking.size)
    throw new TreeError('missing', 'the tree of the index has not every file that is lacking')
  const ranges = merged(spans, frames, limits).map(({ first, end }) => rangeOf(frames[first], frames[end], files))
  const bytes = ranges.reduce((sum, { from, to }) => sum + to - from, 0)
  return { ranges, bytes, packBytes: last?.packed ?? 0 }
}

export interface FrameStart {
  readonly packed: number
  readonly unpacked: number
}

/** Where each frame begins, and at the end where the pack ends. */
export function startsOf(index: PackIndex): readonly FrameStart[] {
  let [packed, unpacked] = [0, 0]
  const starts = index.frames.map((frame) => {
    const start = { packed, unpacked }
    packed += frame.packed
    unpacked += frame.unpacked
    return start
  })
  return [...starts, { packed, unpacked }]
}

/** Joined over small gaps; and over the smallest ones until there are few enough. */
function merged(spans: readonly Span[], frames: readonly FrameStart[], limits: RangeLimits): readonly Span[] {
  const gapBefore = (at: number) => {
    const [before, span] = [spans[at - 1], spans[at]]
    return (frames[span?.first ?? 0]?.packed ?? 0) - (frames[before?.end ?? 0]?.packed ?? 0)
  }
  const gaps = spans.slice(1).map((_, at) => gapBefore(at + 1))
  const widest = gaps.toSorted((a, b) => b - a)[Math.max(0, limits.maxRanges - 1)] ?? 0
  const most = Math.max(limits.maxGapBytes, widest)
  const joined: Span[] = []
  for (const [at, span] of spans.entries()) {
    const before = joined.at(-1)
    if (before !== undefined && gapBefore(at) <= most) before.end = span.end
    else joined.push({ ...span })
  }
  return joined
}

function rangeOf(first: FrameStart | undefined, end: FrameStart | undefined, files: readonly RangeFile[]): PackRange {
  if (first === undefined || end === undefined) throw new TreeError('malformed', 'the index has a file behind its end')
  return {
    from: first.packed,
    to: end.packed,
    unpackedBytes: end.unpacked - first.unpacked,
    files: files
      .filter(({ offset }) => offset >= first.unpacked && offset < end.unpacked)
      .map((file) => ({ ...file, offset: file.offset - first.unpacked })),
  }
}
