// What a whole tree asks for on disk, by its index: for each frame of the full pack the folders and files in it, and links, which come
// last. Every entry is admitted, by the rules that archives have, before it is made.
import { type PackIndex, placeFiles } from '@aether/artifact/index-pack'
import { type FrameStart, startsOf } from '@aether/artifact/range-plan'
import { fileTag } from '@aether/artifact/tree-digest'
import { TreeError } from '@aether/artifact/tree-error'
import { createTreePolicy } from '@aether/artifact/tree-policy'
import { type PlanLimits, type TreeTotals, textPath } from './tree-plan.ts'

/** A whole file inside of a frame; there is at least the length of the tag before it. */
export interface FrameFile {
  /** Below the folder of the release. */
  readonly path: string
  readonly executable: boolean
  readonly digest: string
  /** Of its content, in the frame. */
  readonly from: number
  readonly to: number
}

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
  /** Below the release; a folder before what is in it. */
  readonly folders: string[]
  /** Whole. */
  readonly files: FrameFile[]
  /** In order. */
  readonly pieces: Piece[]
}

export interface FramePlan {
  /** Each frame in order; what is asked for of it is admitted. Throws TreeError where the index does not hold together; ReasonError `extract` for the tree itself. */
  frames(): Generator<FrameWork>
  /** Once there are no more frames: to be made when all files are there. */
  readonly links: readonly { readonly path: string; readonly to: string }[]
  /** Once there are no more frames. */
  readonly totals: TreeTotals
}

/** Four times what a frame has: it is held whole, and another pack is unpacked as a stream. */
const maxFrameBytes = 4 * 1024 * 1024

/** Throws TreeError where the index has larger frames than are taken. */
export function planFrames(root: string, index: PackIndex, limits: PlanLimits): FramePlan {
  const { maxUnpackedBytes: maxBytes, ...rest } = limits
  const links: { path: string; to: string }[] = []
  const totals = { entries: 0, files: 0, bytes: 0 }
  const starts = startsOf(index)
  const works = worksOf(starts)

  function* frames(): Generator<FrameWork> {
    const policy = createTreePolicy(limits)
    let at = 0
    for (const { path: name, entry, offset } of placeFiles(root, index, { ...rest, maxBytes })) {
      // Entries come in the order of the tar: once one begins in the next frame, this one has all that it will have.
      for (; (starts[at + 1]?.unpacked ?? Number.POSITIVE_INFINITY) <= offset; at++) {
        const work = works[at]
        if (work !== undefined) yield work
      }
      const path = textPath(name)
      totals.entries++
      if (entry.kind === 'folder') {
        policy.admitFolder(path)
        works[at]?.folders.push(path)
        continue
      }
      totals.files++
      if (entry.kind === 'link') {
        const to = textPath(entry.to)
        policy.admitSymlink(path, to)
        links.push({ path, to })
        continue
      }
      policy.admitFile(path)
      totals.bytes += entry.size
      const { executable, digest, size } = entry
      put({ path, executable, digest, size }, at, offset)
    }
    policy.finish()
    yield* works.slice(at)
  }

  function put(file: LongFile, at: number, offset: number): void {
    const { path, executable, digest, size } = file
    const frame = works[at]
    const from = offset - (starts[at]?.unpacked ?? 0)
    if (frame !== undefined && from >= fileTag.length && from + size <= frame.unpackedBytes) {
      frame.files.push({ path, executable, digest, from, to: from + size })
      return
    }
    let done = 0
    for (let n = at; done < size || n === at; n++) {
      const part = works[n]
      const place = Math.max(0, offset - (starts[n]?.unpacked ?? 0))
      if (part === undefined) throw new TreeError('malformed', 'the index has a file behind its end')
      const to = Math.min(part.unpackedBytes, place + size - done)
      part.pieces.push({ file, from: place, to })
      done += to - place
    }
  }

  return { frames, links, totals }
}

function worksOf(starts: readonly FrameStart[]): readonly FrameWork[] {
  return starts.slice(0, -1).map((start, n) => {
    const packedBytes = (starts[n + 1]?.packed ?? 0) - start.packed
    const unpackedBytes = (starts[n + 1]?.unpacked ?? 0) - start.unpacked
    if (packedBytes > maxFrameBytes || unpackedBytes > maxFrameBytes)
      throw new TreeError('malformed', `the index has a frame of more than ${maxFrameBytes} bytes`)
    return { packedBytes, unpackedBytes, folders: [], files: [], pieces: [] }
  })
}
