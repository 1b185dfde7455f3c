// Files that lie in several frames of a full pack: written and hashed part by part, as the frames come.
import { closeSync, openSync, writeSync } from 'node:fs'
import { createFileHash } from '@aether/artifact/tree-digest'
import { TreeError } from '@aether/artifact/tree-error'
import type { LongFile, Piece } from './frame-plan.ts'

export interface LongFiles {
  /** The pieces of one frame. Throws TreeError where a file has another digest, or an error of the file system. */
  write(tar: Uint8Array, pieces: readonly Piece[]): void
  /** Closes what is open. */
  abandon(): void
}

export function createLongFiles(folder: string): LongFiles {
  let open:
    | { readonly file: LongFile; readonly fd: number; readonly hash: ReturnType<typeof createFileHash> }
    | undefined
  let left = 0

  function begin(file: LongFile) {
    const fd = openSync(`${folder}/${file.path}`, 'wx', file.executable ? 0o755 : 0o644)
    open = { file, fd, hash: createFileHash() }
    left = file.size
    return open
  }
  function close(): void {
    if (open !== undefined) closeSync(open.fd)
    open = undefined
  }

  return {
    write(tar, pieces) {
      for (const { file, from, to } of pieces) {
        const { fd, hash } = open ?? begin(file)
        for (let at = from; at < to; ) at += writeSync(fd, tar, at, to - at)
        hash.update(tar.subarray(from, to))
        left -= to - from
        if (left > 0) continue
        close()
        if (hash.digest('hex') !== file.digest)
          throw new TreeError('mismatch', `the file ${file.digest} is not where the index of the full pack says`)
      }
    },
    abandon: close,
  }
}
