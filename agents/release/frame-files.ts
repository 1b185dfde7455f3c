// The files of one frame of a full pack: inflated, written and proven.
import { promisify } from 'node:util'
import { constants, zstdDecompress } from 'node:zlib'
import { TreeError } from '@aether/artifact/tree-error'
import { writeFiles } from './file-writer.ts'
import type { FrameFile, FrameWork } from './frame-plan.ts'

const inflate = promisify(zstdDecompress)
const windowLogMax = 23
/** So that the end is found in the same buffer. */
const spareBytes = 64

/** Throws TreeError where it is no frame, or not of that length. One that nothing is wanted of is left as it is. */
export async function inflateFrame(
  packed: Uint8Array,
  { unpackedBytes, files, pieces }: FrameWork,
): Promise<Uint8Array> {
  if (files.length === 0 && pieces.length === 0) return Buffer.alloc(0)
  try {
    const tar = await inflate(packed, {
      chunkSize: unpackedBytes + spareBytes,
      maxOutputLength: unpackedBytes + spareBytes,
      params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
    })
    if (tar.length === unpackedBytes) return tar
  } catch (cause) {
    throw new TreeError('malformed', 'a frame of the full pack is not compressed as zstd', { cause })
  } finally {
    giveBack(packed)
  }
  throw new TreeError('malformed', 'a frame of the full pack has not the length that the index says')
}

/** Throws TreeError where a file has another digest than the index says, or an error of the file system. */
export function writeFrameFiles(folder: string, tar: Uint8Array, files: readonly FrameFile[]): void {
  for (const [at, found] of writeFiles(folder, tar, files).entries()) {
    const { digest } = files[at] ?? {}
    if (found !== digest)
      throw new TreeError('mismatch', `the file ${digest} is not where the index of the full pack says`)
  }
}

/** Gives memory back now: the garbage collector, which sees small objects, would let it grow by tens of megabytes. */
export function giveBack({ buffer, length }: Uint8Array): void {
  // Smaller ones may lie in Node's pool, which cannot be given back.
  if (buffer instanceof ArrayBuffer && length > Buffer.poolSize) buffer.transfer(0)
}
