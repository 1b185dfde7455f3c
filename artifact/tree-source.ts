// What a tree is built from: entries with their content as a file on disk. Here a folder; tree-archive.ts makes one of an
// archive. Names are latin1 (tree-name.ts).
import { readdirSync, readlinkSync } from 'node:fs'
import { TreeError } from './tree-error.ts'
import { diskPath, pathBelow, showPath } from './tree-name.ts'

export type SourceEntry =
  | { readonly kind: 'file'; readonly name: string; readonly file: string | Buffer; readonly executable?: boolean }
  | { readonly kind: 'link'; readonly name: string; readonly to: string }
  | { readonly kind: 'folder'; readonly name: string; readonly entries: () => readonly SourceEntry[] }

/** The entries of a folder on disk, in order; each folder is read when it is asked for. */
export function readSource(root: string): readonly SourceEntry[] {
  const top = Buffer.from(root).toString('latin1')
  return entriesOf('')

  function entriesOf(folder: string): readonly SourceEntry[] {
    return readdirSync(diskPath(`${top}/${folder}`), { withFileTypes: true, encoding: 'latin1' })
      .map((found): SourceEntry => {
        const { name } = found
        const path = pathBelow(folder, name)
        const place = diskPath(`${top}/${path}`)
        if (found.isDirectory()) return { kind: 'folder', name, entries: () => entriesOf(path) }
        if (found.isSymbolicLink()) return { kind: 'link', name, to: readlinkSync(place, 'latin1') }
        if (found.isFile()) return { kind: 'file', name, file: place }
        throw new TreeError(
          'malformed',
          `${showPath(path)} is neither file, folder nor symlink: leave it out of the release`,
        )
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }
}
