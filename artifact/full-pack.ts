// Writes a full pack: the tar of a whole tree in zstd frames of a MiB, which any tar with zstd unpacks, and of which any part
// can be had by itself.
import { createFrameWriter, type Frame } from './frame-writer.ts'
import { encodeTarHeader, paddingOf, type TarItem, tarBlock, tarEnd } from './tar-write.ts'
import type { BuildSink } from './tree-build.ts'

/** Of tar in one frame at most. An entry that fits into one lies in one; a larger one begins with a frame of its own. */
export const frameBytes = 1024 * 1024

/** What the index says of a full pack. */
export interface PackLayout {
  readonly frames: readonly Frame[]
  /** Of each entry in the order of the tree: blocks of 512 bytes before its content. */
  readonly headerBlocks: readonly number[]
}

export interface FullPack extends BuildSink {
  end(): Promise<PackLayout>
}

/** `put` gets the bytes of the pack in order, one part at a time. */
export function createFullPack(put: (packed: Uint8Array) => Promise<void>): FullPack {
  const frames = createFrameWriter(frameBytes, put)
  const headerBlocks: number[] = []
  let padding = 0

  async function entry(item: TarItem, size: number): Promise<void> {
    const header = encodeTarHeader(item)
    headerBlocks.push(header.length / tarBlock)
    padding = paddingOf(size)
    if (header.length + size + padding > frames.room()) await frames.cut()
    await frames.write(header)
  }

  return {
    folder: (path) => entry({ kind: 'folder', path }, 0),
    link: (path, to) => entry({ kind: 'link', path, to }, 0),
    file: (path, executable, size) => entry({ kind: 'file', path, executable, size }, size),
    data: frames.write,
    fileEnd: () => (padding === 0 ? undefined : frames.write(tarEnd.subarray(0, padding))),
    async end() {
      await frames.cut()
      await frames.write(tarEnd)
      return { frames: await frames.end(), headerBlocks }
    },
  }
}
