// Reads the tar of one range of a full pack as its bytes come: cuts out the files that are wanted and proves each.
import type { Hash } from 'node:crypto'
import type { DeltaSink } from './delta-pack.ts'
import type { PackRange, RangeFile } from './range-plan.ts'
import { createFileHash } from './tree-digest.ts'
import { TreeError } from './tree-error.ts'

export type FileSink = Omit<DeltaSink, 'object'>

export interface RangeReader {
  /** Bytes of the range, decompressed. Throws TreeError, or what the sink threw. */
  write(bytes: Uint8Array): void
  /** The range is at its end. Throws TreeError where it was too short. */
  finish(): void
}

export function createRangeReader(range: PackRange, sink: FileSink): RangeReader {
  let position = 0
  let next = 0
  let open: { readonly file: RangeFile; readonly hash: Hash; left: number } | undefined

  function begin(): void {
    const file = range.files[next]
    if (open !== undefined || file?.offset !== position) return
    next++
    open = { file, hash: createFileHash(), left: file.size }
    sink.fileBegin(file.digest, file.size)
    close()
  }
  function close(): void {
    if (open === undefined || open.left > 0) return
    const { file, hash } = open
    open = undefined
    if (hash.digest('hex') !== file.digest)
      throw new TreeError('mismatch', `the file ${file.digest} is not where the index of the full pack says`)
    sink.fileEnd(file.digest)
  }

  return {
    write(bytes) {
      if (position + bytes.length > range.unpackedBytes)
        throw new TreeError('extra', `the range has more than its ${range.unpackedBytes} bytes, unpacked`)
      for (let at = 0; at < bytes.length; ) {
        begin()
        const until = open?.left ?? (range.files[next]?.offset ?? range.unpackedBytes) - position
        const part = bytes.subarray(at, at + until)
        at += part.length
        position += part.length
        if (open === undefined) continue
        open.hash.update(part)
        open.left -= part.length
        sink.fileData(part)
        close()
      }
    },
    finish() {
      // A file of no bytes may lie at the very end.
      begin()
      if (position !== range.unpackedBytes || open !== undefined || next < range.files.length)
        throw new TreeError('malformed', `the range ends after ${position} of ${range.unpackedBytes} bytes, unpacked`)
    },
  }
}
