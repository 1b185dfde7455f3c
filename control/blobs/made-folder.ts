// What was made of trees and can be made again: bounded by its bytes, the longest unused go first. Nothing of it outlives the
// process, so none of it has to be durable.
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { AppName } from '../domain/model.ts'
import type { MadeFile } from '../domain/ports.ts'
import { codeOf } from './storage-error.ts'

export function createMadeFolder(root: string, maxBytes: number) {
  /** By path, the longest unused first. */
  const sizes = new Map<string, number>()

  function touch(path: string, bytes: number): void {
    sizes.delete(path)
    sizes.set(path, bytes)
  }

  return {
    async recover(): Promise<void> {
      sizes.clear()
      await rm(root, { recursive: true, force: true })
      await mkdir(root, { recursive: true, mode: 0o700 })
    },

    /** Puts files that are whole at their place, each from where it was written. */
    async keep(app: AppName, files: readonly { readonly temporary: string; readonly name: string }[]): Promise<void> {
      for (const { temporary, name } of files) {
        const path = join(root, app, name)
        await mkdir(dirname(path), { recursive: true, mode: 0o700 })
        await rename(temporary, path)
        touch(path, (await stat(path)).size)
      }
      let total = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0)
      for (const [path, bytes] of sizes) {
        if (total <= maxBytes || sizes.size <= files.length) return
        sizes.delete(path)
        total -= bytes
        // Who reads it reads on: it goes when it is closed.
        await rm(path, { force: true })
      }
    },

    async find(app: AppName, name: string): Promise<MadeFile | undefined> {
      const path = join(root, app, name)
      let file: FileHandle
      try {
        file = await open(path, 'r')
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return undefined
        throw error
      }
      const { size, mtimeNs, ino } = await file.stat({ bigint: true })
      const bytes = Number(size)
      touch(path, bytes)
      return {
        bytes,
        etag: `"${ino.toString(36)}-${mtimeNs.toString(36)}"`,
        // Closes the file by itself, at the end or when it is destroyed.
        open: async (range) => file.createReadStream(range ?? {}),
        close: () => file.close(),
      }
    },
  }
}
