// The entries of a release where they lie: those of the app's folder that the rules let in, and the modules that were installed
// elsewhere. Nothing is copied.
import { readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { diskPath, pathBelow, showPath, textOf } from '@aether/artifact/tree-name'
import { readSource, type SourceEntry } from '@aether/artifact/tree-source'
import { errnoOf, Failure } from '../basics/failure.ts'
import { strangeEntry } from './clean-copy.ts'
import { type IsIgnored, ignoreFileName } from './ignore-rules.ts'

export interface ProjectSource {
  readonly entries: readonly SourceEntry[]
  /** Paths of the symlinks that were met in the app's folder, as far as its folders were read. */
  readonly links: readonly string[]
}

const modulesName = 'node_modules'

/** `installed` is a folder like the app's, of which every node_modules is taken; without one, those of the app's folder. */
export function readProject(folder: string, isIgnored: IsIgnored, installed: string | undefined): ProjectSource {
  const links: string[] = []

  function entriesOf(path: string): readonly SourceEntry[] {
    const found: SourceEntry[] = []
    for (const entry of readdirSync(diskPath(inside(folder, path)), { withFileTypes: true, encoding: 'latin1' })) {
      const { name } = entry
      const below = pathBelow(path, name)
      const text = textOf(below)
      if (text === undefined)
        throw new Failure('failed', `the name ${showPath(below)} is not UTF-8`, {
          next: `rename it, or leave its folder out: add that to ${ignoreFileName}`,
        })
      if (isIgnored(entry.isDirectory() ? `${text}/` : text)) continue
      if (installed !== undefined && name === modulesName) continue
      if (entry.isDirectory()) found.push({ kind: 'folder', name, entries: () => entriesOf(below) })
      else if (entry.isSymbolicLink()) {
        links.push(text)
        found.push({ kind: 'link', name, to: readlinkSync(join(folder, text), 'latin1') })
      } else if (entry.isFile()) found.push({ kind: 'file', name, file: join(folder, text) })
      else throw strangeEntry(text)
    }
    const modules = installed === undefined ? undefined : modulesOf(diskPath(inside(installed, path)).toString())
    if (modules !== undefined) found.push(modules)
    return found.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }
  return { entries: entriesOf(''), links }
}

function modulesOf(folder: string): SourceEntry | undefined {
  const place = join(folder, modulesName)
  try {
    readdirSync(place)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
  return { kind: 'folder', name: modulesName, entries: () => readSource(place) }
}

/** As a name of the tree (tree-name.ts). */
function inside(folder: string, path: string): string {
  const root = Buffer.from(folder).toString('latin1')
  return path === '' ? root : `${root}/${path}`
}
