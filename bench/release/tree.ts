// What lies below a folder, by which every contestant's result is checked: nobody wins by doing less.
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

export interface Tree {
  /** Files and links. */
  readonly files: number
  readonly bytes: number
}

export function measureTree(folder: string): Tree {
  let files = 0
  let bytes = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue
    files++
    if (entry.isFile()) bytes += lstatSync(join(entry.parentPath, entry.name)).size
  }
  return { files, bytes }
}

/** Throws where `folder` is not what was packed. */
export function checkTree(who: string, folder: string, wanted: Tree): void {
  const found = measureTree(folder)
  if (found.files !== wanted.files || found.bytes !== wanted.bytes)
    throw new Error(
      `${who} made ${found.files} files of ${found.bytes} bytes, not ${wanted.files} files of ${wanted.bytes} bytes`,
    )
}
