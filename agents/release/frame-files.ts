// The files of one frame of a full pack: inflated, written and proven, in this thread or in another one (frame-thread.ts).
import { closeSync, openSync, writeSync } from 'node:fs'
import { constants, zstdDecompressSync } from 'node:zlib'
import { digestOfTagged, fileTag } from '@aether/artifact/tree-digest'
import { TreeError } from '@aether/artifact/tree-error'

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

const windowLogMax = 23
/** So that the end is found in the same buffer. */
const spareBytes = 64

/** Throws TreeError where it is no frame, or not of that length. */
export function inflateFrame(packed: Uint8Array, unpackedBytes: number): Uint8Array {
  try {
    const tar = zstdDecompressSync(packed, {
      chunkSize: unpackedBytes + spareBytes,
      maxOutputLength: unpackedBytes + spareBytes,
      params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
    })
    if (tar.length === unpackedBytes) return tar
  } catch (cause) {
    throw new TreeError('malformed', 'a frame of the full pack is not compressed as zstd', { cause })
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
