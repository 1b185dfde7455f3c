// Keeps a copy of an app's folder up to date: what did not change by size, time, inode and mode is not read again. What others
// put into the copy, such as installed modules, is left alone.
//
//  1. scan: every entry that the rules let in, with its stamp
//  2. remove what is no longer there, or is of another kind
//  3. copy what has another stamp; equal bytes count as unchanged
import { constants, type Dirent, lstatSync, readdirSync } from 'node:fs'
import { chmod, copyFile, mkdir, readFile, readlink, rm, symlink } from 'node:fs/promises'
import { basename, join, sep } from 'node:path'
import { errnoOf } from '../basics/failure.ts'
import { strangeEntry } from './clean-copy.ts'
import type { IsIgnored } from './ignore-rules.ts'

export interface Synced {
  /** Files and links with other content, or gone. */
  readonly changed: readonly string[]
  /** Those that were written in place since the last time, be it with the same content. */
  readonly touched: readonly string[]
  readonly hasNewLinks: boolean
  /** Folders that are new, or gone. */
  readonly folders: readonly string[]
  /** Whether nothing of what was looked at was written within the last `settledMs`: what was may be a save half done. */
  readonly isSettled: boolean
}

export interface FolderSync {
  /** Known folders of the name `passOver` are not looked into: what they hold counts as it was. */
  run(isIgnored: IsIgnored, signal: AbortSignal, passOver?: string): Promise<Synced>
  /** What the copy has from the folder. */
  paths(): Iterable<string>
}

interface Entry {
  readonly kind: 'file' | 'folder' | 'link'
  readonly stamp: string
  readonly size: number
  readonly mode: number
  /** Whether a later write has another time for sure: the kernel's clock goes in steps of some milliseconds. */
  readonly isSettled: boolean
}

interface Scanned {
  readonly entries: Map<string, Entry>
  /** Folders that were not looked into. */
  readonly passedOver: readonly string[]
}

export const settledMs = 20
const longestTurnMs = 10
/** Larger files are copied without being compared. */
const maxCompareBytes = 4 * 1024 * 1024

export function createFolderSync(from: string, to: string): FolderSync {
  const known = new Map<string, Entry>()
  // Told when a run has come to its end: what one that failed had copied must not be forgotten.
  let changed = new Set<string>()
  let folders = new Set<string>()
  let hasNewLinks = false
  return {
    paths: () => known.keys(),
    async run(isIgnored, signal, passOver) {
      // 1
      const found = await scan(from, isIgnored, signal, (path) => basename(path) === passOver && known.has(path))
      for (const [path, before] of known) if (isBelow(found.passedOver, path)) found.entries.set(path, before)
      const touched: string[] = []
      let isSettled = true
      // 2
      for (const [path, before] of known) {
        const now = found.entries.get(path)
        if (now?.kind === before.kind) continue
        ;(before.kind === 'folder' ? folders : changed).add(path)
        known.delete(path)
        await rm(join(to, path), { recursive: true, force: true }).catch(ignoreGone)
      }
      // 3
      for (const [path, entry] of found.entries) {
        signal.throwIfAborted()
        const before = known.get(path)
        if (before?.stamp === entry.stamp && before.isSettled) continue
        isSettled &&= entry.isSettled
        if (before !== undefined && before.stamp !== entry.stamp && entry.kind !== 'folder') touched.push(path)
        const [source, target] = [join(from, path), join(to, path)]
        try {
          if (before !== undefined && (await isSame(before, entry, source, target))) known.set(path, entry)
          else {
            // Until it is whole it is not known, so that the next time copies it again.
            known.delete(path)
            await copyEntry(entry, source, target)
            known.set(path, entry)
            ;(entry.kind === 'folder' ? folders : changed).add(path)
            if (entry.kind === 'link') hasNewLinks = true
          }
        } catch (error) {
          // Gone since the scan: the watch tells of it again.
          if (errnoOf(error) !== 'ENOENT') throw error
        }
      }
      const done = { changed: [...changed], touched, hasNewLinks, folders: [...folders], isSettled }
      changed = new Set()
      folders = new Set()
      hasNewLinks = false
      return done
    },
  }
}

/** A folder comes before what it holds. Asked one by one without a thread in between: of 8,000 files that is what takes the time. */
async function scan(
  from: string,
  isIgnored: IsIgnored,
  signal: AbortSignal,
  isPassedOver: (folder: string) => boolean,
): Promise<Scanned> {
  const entries = new Map<string, Entry>()
  const passedOver: string[] = []
  const walk = async (folder: string): Promise<void> => {
    await turn()
    signal.throwIfAborted()
    for (const entry of list(join(from, folder), folder === '')) {
      const path = join(folder, entry.name)
      if (isIgnored(entry.isDirectory() ? `${path}/` : path)) continue
      if (entry.isDirectory()) {
        entries.set(path, { kind: 'folder', stamp: '', size: 0, mode: 0, isSettled: true })
        if (isPassedOver(path)) passedOver.push(path)
        else await walk(path)
        continue
      }
      const stat = lstatSync(join(from, path), { bigint: true, throwIfNoEntry: false })
      if (stat === undefined) continue
      if (!stat.isFile() && !stat.isSymbolicLink()) throw strangeEntry(path)
      entries.set(path, {
        kind: stat.isFile() ? 'file' : 'link',
        stamp: `${stat.size} ${stat.mtimeNs} ${stat.ctimeNs} ${stat.ino} ${stat.mode}`,
        size: Number(stat.size),
        mode: Number(stat.mode) & 0o777,
        isSettled: Date.now() - Number(stat.ctimeMs) > settledMs,
      })
    }
  }
  await walk('')
  return { entries, passedOver }
}

function isBelow(folders: readonly string[], path: string): boolean {
  return folders.some((folder) => path.startsWith(folder + sep))
}

/** Empty where it has gone since it was seen. */
function list(folder: string, isRoot: boolean): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    if (isRoot) throw error
    ignoreGone(error)
    return []
  }
}

let turnedAt = 0

/** The event loop gets one now and then. */
function turn(): Promise<void> | undefined {
  if (performance.now() - turnedAt < longestTurnMs) return undefined
  return new Promise((resolve) => {
    setImmediate(() => {
      turnedAt = performance.now()
      resolve()
    })
  })
}

async function isSame(before: Entry, entry: Entry, source: string, target: string): Promise<boolean> {
  if (entry.kind === 'folder') return true
  if (entry.kind === 'link') return (await readlink(source)) === (await readlink(target))
  if (before.size !== entry.size || before.mode !== entry.mode || entry.size > maxCompareBytes) return false
  return (await readFile(source)).equals(await readFile(target))
}

async function copyEntry({ kind, mode }: Entry, source: string, target: string): Promise<void> {
  if (kind === 'folder') {
    await mkdir(target, { recursive: true })
    return
  }
  await rm(target, { force: true })
  if (kind === 'link') await symlink(await readlink(source), target)
  else {
    await copyFile(source, target, constants.COPYFILE_FICLONE)
    await chmod(target, mode)
  }
}

function ignoreGone(error: unknown): undefined {
  if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) throw error
}
