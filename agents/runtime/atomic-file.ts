// Writes a small file so that a reader finds the old text or the new one, whole.
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { uniqueName } from './unique-name.ts'

/** Temporary file beside it, fsync, rename, fsync of the folder. Rejects with the system's error; leaves nothing behind. */
export async function writeFileAtomic(path: string, text: string, mode = 0o644): Promise<void> {
  const temporary = `${path}.${uniqueName()}.tmp`
  try {
    const file = await open(temporary, 'wx', mode)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
