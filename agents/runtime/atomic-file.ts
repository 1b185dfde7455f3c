// Writes a small file so that a reader finds the old text or the new one, whole. What takes microseconds is called at once;
// only what waits for the disk goes through the thread pool, whose way costs more than the rest on a busy machine.
import { closeSync, fsync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { uniqueName } from './unique-name.ts'

const synced = promisify(fsync)

/** Temporary file beside it, fsync, rename, fsync of the folder. Rejects with the system's error; leaves nothing behind. */
export async function writeFileAtomic(path: string, text: string, mode = 0o644): Promise<void> {
  await replaceFile(path, text, { mode })
  await syncFolder(dirname(path))
}

export interface ReplaceOptions {
  readonly mode?: number
  /** What has to be done before the rename; the writing and its fsync go on beside it. */
  readonly after?: Promise<unknown>
}

/** The same without the last step, which is the caller's: its name may be synced with others. */
export async function replaceFile(
  path: string,
  text: string,
  { mode = 0o644, after }: ReplaceOptions = {},
): Promise<void> {
  const temporary = `${path}.${uniqueName()}.tmp`
  try {
    const file = openSync(temporary, 'wx', mode)
    try {
      const bytes = Buffer.from(text)
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
      await synced(file)
    } finally {
      closeSync(file)
    }
    await after
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** Makes the names in folders durable, all at once. */
export async function syncFolders(...paths: readonly string[]): Promise<void> {
  await Promise.all(paths.map(syncFolder))
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = openSync(path, 'r')
  try {
    await synced(folder)
  } finally {
    closeSync(folder)
  }
}
