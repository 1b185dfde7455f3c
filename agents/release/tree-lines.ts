// A folder as lines of text, one an entry, in an order of its own: equal lines, equal trees. No link is followed.
import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import { join } from 'node:path'
import type { Slices } from './slices.ts'

type Entry = readonly (string | number | boolean)[]

const chunkBytes = 128 * 1024
/** What a file costs beside its bytes. */
const fileBytes = 8 * 1024
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
/** What a file that was there a moment ago says when it is none, or cannot be read. */
const lost = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EIO'])

/**
 * Each entry as a JSON list: its path, then `folder`; or `file`, its execute bit, size and sha256; or `link` and its
 * target; or `other`. A folder comes before what is in it; names are in the order of their UTF-16 units.
 */
export async function* readTree(root: string, slices: Slices): AsyncGenerator<string> {
  const chunk = Buffer.allocUnsafe(chunkBytes)
  const ahead = namesIn('')
  for (let path = ahead.pop(); path !== undefined; path = ahead.pop()) {
    const entry = await entryOf(path)
    yield JSON.stringify([path, ...entry])
    if (entry[0] === 'folder') for (const inside of namesIn(`${path}/`)) ahead.push(inside)
  }

  function namesIn(folder: string): string[] {
    const names = readdirSync(join(root, folder)).toSorted()
    return names.toReversed().map((name) => folder + name)
  }

  async function entryOf(path: string): Promise<Entry> {
    try {
      // A name that is not UTF-8 cannot be found under what it was read as: it is none of ours.
      const stat = lstatSync(join(root, path))
      if (stat.isDirectory()) return ['folder']
      if (stat.isSymbolicLink()) return ['link', readlinkSync(join(root, path))]
      return stat.isFile() ? await hashed(join(root, path)) : ['other']
    } catch (error) {
      if (error instanceof Error && 'code' in error && typeof error.code === 'string' && lost.has(error.code))
        return ['other']
      throw error
    }
  }

  async function hashed(path: string): Promise<Entry> {
    const file = openSync(path, flags)
    try {
      const stat = fstatSync(file)
      if (!stat.isFile()) return ['other']
      const hash = createHash('sha256')
      let size = 0
      await slices.spent(fileBytes)
      for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk)) {
        hash.update(chunk.subarray(0, read))
        size += read
        await slices.spent(read)
      }
      return ['file', (stat.mode & 0o111) !== 0, size, hash.digest('hex')]
    } finally {
      closeSync(file)
    }
  }
}

/** The path of a line; '' where it is no line of a tree. */
export function pathOfLine(line: string): string {
  try {
    const entry: unknown = JSON.parse(line)
    return Array.isArray(entry) && typeof entry[0] === 'string' ? entry[0] : ''
  } catch {
    return ''
  }
}

/** Whether `a` comes before `b` in a tree's order. */
export function isBefore(a: string, b: string): boolean {
  const [left, right] = [a.split('/'), b.split('/')]
  for (const [at, name] of left.entries()) {
    const other = right[at]
    if (other === undefined) return false
    if (name !== other) return name < other
  }
  return left.length < right.length
}
