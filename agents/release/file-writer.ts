// Writes the files of a part of a tar and hashes them.
import { closeSync, openSync, writeSync } from 'node:fs'
import { digestOfTagged, fileTag } from '@aether/artifact/tree-digest'

/** A whole file inside of a part; the header of its entry stands before it. */
export interface FileTask {
  /** Below the folder of the release. */
  readonly path: string
  readonly executable: boolean
  /** Of its content, in the part. */
  readonly from: number
  readonly to: number
}

/** Answers the digests. The tag goes over the end of each header, which was read: so content and tag are hashed as one. */
export function writeFiles(folder: string, part: Uint8Array, tasks: readonly FileTask[]): readonly string[] {
  return tasks.map(({ path, executable, from, to }) => {
    const file = openSync(`${folder}/${path}`, 'wx', executable ? 0o755 : 0o644)
    try {
      for (let at = from; at < to; ) at += writeSync(file, part, at, to - at)
    } finally {
      closeSync(file)
    }
    part.set(fileTag, from - fileTag.length)
    return digestOfTagged(part.subarray(from - fileTag.length, to))
  })
}
