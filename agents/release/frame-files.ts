// The files of one frame of a full pack: inflated, written and proven.
import { closeSync, openSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { constants, zstdDecompress } from 'node:zlib'
import { digestOfTagged, fileTag } from '@aether/artifact/tree-digest'
import { TreeError } from '@aether/artifact/tree-error'
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

/**
 * What is written is what is hashed: the tag goes over the end of each header, once what lies there is written. Throws TreeError
 * where a file has another digest, or an error of the file system.
 */
export function writeFrameFiles(folder: string, tar: Uint8Array, files: readonly FrameFile[]): void {
  for (const { path, executable, digest, from, to } of files) {
    const file = openSync(`${folder}/${path}`, 'wx', executable ? 0o755 : 0o644)
    try {
      for (let at = from; at < to; ) at += writeSync(file, tar, at, to - at)
    } finally {
      closeSync(file)
    }
    tar.set(fileTag, from - fileTag.length)
    if (digestOfTagged(tar.subarray(from - fileTag.length, to)) !== digest)
      throw new TreeError('mismatch', `the file ${digest} is not where the index of the full pack says`)
  }
}

/** Gives memory back now: the garbage collector, which sees small objects, would let it grow by tens of megabytes. */
export function giveBack({ buffer, length }: Uint8Array): void {
  // Smaller ones may lie in Node's pool, which cannot be given back.
  if (buffer instanceof ArrayBuffer && length > Buffer.poolSize) buffer.transfer(0)
}
