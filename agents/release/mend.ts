// Puts a release right in its place, from a fresh copy of it. Node has no exchange of two folders by one rename, and a process
// may load files of the release late: so each entry is renamed over the one that is there, and every path exists throughout
// (but where a folder took the place of what is none, or the other way round).
import { lstat, mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { uniqueName } from '@aether/runtime/unique-name'
import { removeTree } from './remove-tree.ts'

/** `fresh` is used up; what must go is moved to `staging` and removed. Killed at any point, each entry is the old one or the right one. */
export async function mendTree(fresh: string, place: string, staging: string): Promise<void> {
  const away = join(staging, `away-${uniqueName()}`)
  await mkdir(away)
  await mendFolder(fresh, place)
  await removeTree(away)
  await removeTree(fresh)

  async function mendFolder(from: string, to: string): Promise<void> {
    const names = await readdir(from)
    for (const name of names) await mendEntry(join(from, name), join(to, name))
    const right = new Set(names)
    // As bytes: a stranger's name need not be UTF-8.
    for (const name of await readdir(to, { encoding: 'buffer' }))
      if (!right.has(name.toString())) await moveAway(Buffer.concat([Buffer.from(`${to}/`), name]))
  }

  async function mendEntry(from: string, to: string): Promise<void> {
    const [wanted, found] = [await lstat(from), await lstat(to).catch(() => undefined)]
    if (wanted.isDirectory() && found?.isDirectory()) return mendFolder(from, to)
    // A folder and what is none do not take each other's place by rename.
    if (found !== undefined && (wanted.isDirectory() || found.isDirectory())) await moveAway(to)
    await rename(from, to)
  }

  function moveAway(path: string | Buffer): Promise<void> {
    return rename(path, join(away, uniqueName()))
  }
}
