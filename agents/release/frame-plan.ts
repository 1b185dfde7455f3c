// What a whole tree asks for on disk, by its index: folders and links, and for each frame of the full pack the files in it. Every
// entry is admitted, by the rules that archives have, before the first one is made.
import { type PackIndex, placeFiles } from '@aether/artifact/index-pack'
import { type FrameStart, startsOf } from '@aether/artifact/range-plan'
import { fileTag } from '@aether/artifact/tree-digest'
import { TreeError } from '@aether/artifact/tree-error'
import { createTreePolicy } from '@aether/artifact/tree-policy'
import type { FrameFile } from './frame-files.ts'
import { type PlanLimits, type TreeTotals, textPath } from './tree-plan.ts'

/** A file that lies in several frames, or at the very start of one. */
export interface LongFile {
  readonly path: string
  readonly executable: boolean
  readonly digest: string
  readonly size: number
}

/** A part of one, in a frame. The first part begins it, the one that fills its size ends it. */
export interface Piece {
  readonly file: LongFile
  readonly from: number
  readonly to: number
}

export interface FrameWork {
  readonly packedBytes: number
  readonly unpackedBytes: number
  /** Whole. */
  readonly files: FrameFile[]
  /** In order. */
  readonly pieces: Piece[]
}

export interface FramePlan {
  /** A folder before what is in it. */
  readonly folders: readonly string[]
  readonly links: readonly { readonly path: string; readonly to: string }[]
  readonly frames: readonly FrameWork[]
  readonly totals: TreeTotals
}

/** Four times what a frame has: it is held whole, and another pack is unpacked as a stream. */
const maxFrameBytes = 4 * 1024 * 1024

/** Throws TreeError where the index does not hold together, or has larger frames; ReasonError `extract` for the tree itself. */
export function planFrames(root: string, index: PackIndex, limits: PlanLimits): FramePlan {
  const { maxUnpackedBytes: maxBytes, ...rest } = limits
  const policy = createTreePolicy(limits)
  const folders: string[] = []
  const links: { path: string; to: string }[] = []
  const sum = { entries: 0, files: 0, bytes: 0 }
  const starts = startsOf(index)
  const frames = framesOf(starts)
  let at = 0
  for (const { path: name, entry, offset } of placeFiles(root, index, { ...rest, maxBytes })) {
    const path = textPath(name)
    sum.entries++
    if (entry.kind === 'folder') {
      policy.admitFolder(path)
      folders.push(path)
      continue
    }
    sum.files++
    if (entry.kind === 'link') {
      const to = textPath(entry.to)
      policy.admitSymlink(path, to)
      links.push({ path, to })
      continue
    }
    policy.admitFile(path)
    sum.bytes += entry.size
    // Files come in the order of the tar, so the frames are gone through once.
    while ((starts[at + 1]?.unpacked ?? Number.POSITIVE_INFINITY) <= offset) at++
    put({ path, ...entry }, offset)
  }
  policy.finish()
  return { folders, links, frames, totals: sum }

  function put({ path, executable, digest, size }: LongFile, offset: number): void {
    const start = starts[at]?.unpacked ?? 0
    const frame = frames[at]
    const from = offset - start
    if (frame !== undefined && from >= fileTag.length && from + size <= frame.unpackedBytes) {
      frame.files.push({ path, executable, digest, from, to: from + size })
      return
    }
    const file = { path, executable, digest, size }
    let done = 0
    for (let n = at; done < size || n === at; n++) {
      const part = frames[n]
      const place = Math.max(0, offset - (starts[n]?.unpacked ?? 0))
      if (part === undefined) throw new TreeError('malformed', 'the index has a file behind its end')
      const to = Math.min(part.unpackedBytes, place + size - done)
      part.pieces.push({ file, from: place, to })
      done += to - place
    }
  }
}

function framesOf(starts: readonly FrameStart[]): readonly FrameWork[] {
  return starts.slice(0, -1).map((start, n) => {
    const packedBytes = (starts[n + 1]?.packed ?? 0) - start.packed
    const unpackedBytes = (starts[n + 1]?.unpacked ?? 0) - start.unpacked
    if (packedBytes > maxFrameBytes || unpackedBytes > maxFrameBytes)
      throw new TreeError('malformed', `the index has a frame of more than ${maxFrameBytes} bytes`)
    return { packedBytes, unpackedBytes, files: [], pieces: [] }
  })
}
