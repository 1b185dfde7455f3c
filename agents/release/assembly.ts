// Makes the folder of one tree that of another, by a plan: what is gone goes, what is new is written, and nothing that stays
// is touched. No file is ever written in place: other releases have the same inode.

import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { uniqueName } from '@aether/runtime/unique-name'
import type { Room } from './budget.ts'
import type { Plan, PlannedFile, TreeTotals } from './tree-plan.ts'

export interface Assembly {
  /** The next file, by its digest. */
  begin(digest: string): void
  data(bytes: Uint8Array): void
  end(): void
  /** Takes it from a file that is on disk and has that digest. */
  link(digest: string, from: string, executable: boolean): void
  /** Digests of the files that have not come yet. */
  missing(): ReadonlySet<string>
  /** What was written. */
  written(): { readonly files: number; readonly bytes: number }
  readonly totals: TreeTotals
  /** What was moved out of the way, to be removed. */
  readonly away: readonly string[]
  /** Closes what is open. */
  abandon(): void
}

/** Does at once what needs no content. `staging` is on the same volume. */
export function beginAssembly(folder: string, staging: string, plan: Plan, room: Room): Assembly {
  const missing = new Set(plan.files.keys())
  const away: string[] = []
  let [files, bytes] = [0, 0]
  let open: { readonly fd: number; readonly digest: string; readonly files: readonly PlannedFile[] } | undefined

  for (const { path, isFolder } of plan.removals) {
    if (!isFolder) {
      unlinkSync(`${folder}/${path}`)
      continue
    }
    // All of it at once: who removes it can take his time.
    const aside = join(staging, `away-${uniqueName()}`)
    renameSync(`${folder}/${path}`, aside)
    away.push(aside)
  }
  for (const path of plan.folders) mkdirSync(`${folder}/${path}`, { mode: 0o775 })
  for (const { path, to, isTaken } of plan.links) {
    if (isTaken) unlinkSync(`${folder}/${path}`)
    symlinkSync(to, `${folder}/${path}`)
  }

  function clear({ path, isTaken }: PlannedFile): string {
    const place = `${folder}/${path}`
    if (isTaken) unlinkSync(place)
    return place
  }
  function filesOf(digest: string): readonly [PlannedFile, ...PlannedFile[]] {
    const [first, ...others] = (missing.has(digest) && plan.files.get(digest)) || []
    if (first === undefined) throw new Error(`no file of digest ${digest} is planned, or it came before`)
    return [first, ...others]
  }

  return {
    begin(digest) {
      const planned = filesOf(digest)
      const [first] = planned
      room.take(first.size)
      bytes += first.size
      files++
      open = { fd: openSync(clear(first), 'wx', modeOf(first.executable)), digest, files: planned }
    },
    data(part) {
      if (open === undefined) throw new Error('no file is open')
      for (let at = 0; at < part.length; ) at += writeSync(open.fd, part, at)
    },
    end() {
      if (open === undefined) throw new Error('no file is open')
      const { fd, digest, files: planned } = open
      open = undefined
      closeSync(fd)
      const [first, ...others] = planned
      missing.delete(digest)
      if (first === undefined) return
      for (const other of others)
        linkOrCopy(`${folder}/${first.path}`, first.executable, clear(other), other.executable)
    },
    link(digest, from, executable) {
      for (const file of filesOf(digest)) linkOrCopy(from, executable, clear(file), file.executable)
      missing.delete(digest)
    },
    missing: () => missing,
    written: () => ({ files, bytes }),
    totals: plan.totals,
    away,
    abandon() {
      if (open !== undefined) closeSync(open.fd)
      open = undefined
    },
  }
}

/**
 * One inode for both where that can be. A copy where the execute bits differ, where the inode has all the links it may have,
 * and where it belongs to another user (fs.protected_hardlinks).
 */
export function linkOrCopy(from: string, isExecutable: boolean, to: string, executable: boolean): void {
  if (isExecutable === executable)
    try {
      return linkSync(from, to)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && (error.code === 'EMLINK' || error.code === 'EPERM')))
        throw error
    }
  copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  chmodSync(to, modeOf(executable))
}

function modeOf(executable: boolean): number {
  return executable ? 0o755 : 0o644
}
