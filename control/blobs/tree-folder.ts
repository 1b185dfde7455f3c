// The objects of trees as packs, and what is made of them, each app in folders of its own:
//   packs/<app>/<id>       appended to; what the store has rows of is durable and never changes, the rest is nobody's
//   made/<app>/<name>      made of a tree; may go at any time, and does at a start
//   staging/<uuid>         being made; on the same file system, so that it appears by a rename
import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from '@aether/runtime/atomic-file'
import { ControlError } from '../domain/errors.ts'
import type { PackReader, PackRef, PackWriter, TreeBlobs } from '../domain/ports.ts'
import { createMadeFolder } from './made-folder.ts'
import { codeOf, toStorageError } from './storage-error.ts'

/** Packs that one reader holds open. */
const mostOpen = 16

/** `root` is for this alone, and for one process. `maxMadeBytes` is of all that is made. */
export function createFolderTrees(root: string, maxMadeBytes: number): TreeBlobs {
  const [packs, staging] = [join(root, 'packs'), join(root, 'staging')]
  const made = createMadeFolder(join(root, 'made'), maxMadeBytes)
  const pathOf = ({ app, id }: PackRef) => join(packs, app, id)

  /** Errors of the file system, as those of the table. */
  async function onDisk<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw toStorageError(error, root)
    }
  }

  function writerOf(ref: PackRef, file: FileHandle): PackWriter {
    return {
      append: (parts) => onDisk(() => writeAll(file, parts)),
      sync: () => onDisk(() => file.datasync()),
      close: (length) =>
        onDisk(async () => {
          await file.close()
          if (length === 0) await rm(pathOf(ref), { force: true })
          else await truncate(pathOf(ref), length)
        }),
    }
  }

  return {
    recover: (known) =>
      onDisk(async () => {
        for (const folder of [packs, staging]) await mkdir(folder, { recursive: true, mode: 0o700 })
        for (const name of await readdir(staging)) await rm(join(staging, name), { recursive: true, force: true })
        await made.recover()
        const there = new Set<string>()
        const wanted = new Set(known.map(pathOf))
        for (const app of await readdir(packs))
          for (const id of await readdir(join(packs, app))) {
            const path = pathOf({ app, id })
            if (wanted.has(path)) there.add(path)
            else await rm(path, { recursive: true, force: true })
          }
        return known.filter((ref) => !there.has(pathOf(ref)))
      }),

    createPack: (ref) =>
      onDisk(async () => {
        const folder = join(packs, ref.app)
        const isNew = await mkdir(folder, { recursive: true, mode: 0o700 })
        const file = await open(pathOf(ref), 'wx', 0o600)
        await syncFolder(folder)
        if (isNew !== undefined) await syncFolder(packs)
        return writerOf(ref, file)
      }),

    openPacks: (app) => createReader((id) => pathOf({ app, id }), onDisk),

    removePack: (ref) => onDisk(() => rm(pathOf(ref), { force: true })),

    findMade: (app, name) => onDisk(() => made.find(app, name)),

    async make(app, names, write) {
      const temporary = names.map(() => join(staging, randomUUID()))
      const files: FileHandle[] = []
      try {
        await onDisk(async () => {
          await mkdir(staging, { recursive: true, mode: 0o700 })
          for (const path of temporary) files.push(await open(path, 'wx', 0o600))
        })
        await write(files.map((file) => (bytes) => onDisk(() => writeAll(file, [bytes]))))
        await onDisk(() =>
          made.keep(
            app,
            names.map((name, at) => ({ name, temporary: temporary[at] ?? '' })),
          ),
        )
      } finally {
        for (const file of files) await file.close().catch(() => {})
        for (const path of temporary) await rm(path, { force: true }).catch(() => {})
      }
    },
  }
}

function createReader(pathOf: (id: string) => string, onDisk: <T>(work: () => Promise<T>) => Promise<T>): PackReader {
  const handles = new Map<string, FileHandle>()

  async function handleOf(id: string): Promise<FileHandle> {
    const known = handles.get(id)
    if (known !== undefined) return known
    const made = await open(pathOf(id), 'r').catch((cause: unknown) => {
      if (codeOf(cause) === 'ENOENT') throw lost(id, { cause })
      throw cause
    })
    handles.set(id, made)
    for (const [oldest, handle] of handles) {
      if (handles.size <= mostOpen) break
      handles.delete(oldest)
      await handle.close()
    }
    return made
  }

  return {
    read: (id, at, least, most) =>
      onDisk(async () => {
        const file = await handleOf(id)
        const bytes = Buffer.allocUnsafe(most)
        const { bytesRead } = await file.read(bytes, 0, most, at)
        if (bytesRead < least) throw lost(id)
        return bytes.subarray(0, bytesRead)
      }),
    async close() {
      for (const handle of handles.values()) await handle.close().catch(() => {})
      handles.clear()
    },
  }
}

function lost(id: string, options?: ErrorOptions): ControlError {
  return new ControlError('unknown_artifact', `bytes of the pack ${id} are lost: deploy the app again`, options)
}

async function writeAll(file: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  for (const part of parts) await file.writeFile(part)
}
