// Where a bench may leave hundreds of megabytes: in memory where there is room, and gone whatever ends the process.
import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { join, resolve } from 'node:path'

const memory = '/dev/shm'
// statfs(2)
const fileSystems: Readonly<Record<number, string>> = {
  0x01021994: 'tmpfs',
  0xef53: 'ext4',
  0x794c7630: 'overlayfs',
  0x9123683e: 'btrfs',
  0x58465342: 'xfs',
}

export interface WorkFolder {
  readonly path: string
  /** For the table: what it lies on. */
  readonly description: string
}

/** Throws where it has not `megabytes` left. The folder is removed when the process ends. */
export function makeWorkFolder(parent = memory, megabytes: number): WorkFolder {
  const { type, bavail, bsize } = statfsSync(parent)
  const free = Math.floor((bavail * bsize) / 1_000_000)
  if (free < megabytes)
    throw new Error(`${parent} has ${free} MB left and ${Math.ceil(megabytes)} are needed: name another by --folder`)
  const path = mkdtempSync(join(resolve(parent), 'aether-bench-'))
  // Whoever starts a process has it killed before this; what the kernel is still ending may write for a moment.
  process.once('exit', () => rmSync(path, { recursive: true, force: true, maxRetries: 10 }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  return { path, description: `${parent} (${fileSystems[type] ?? `type 0x${type.toString(16)}`})` }
}
