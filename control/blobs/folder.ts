// Artifacts as files named by their sha256:
//   sha256/ab/<64 hex>   complete, durable, never changed again
//   staging/<uuid>       being written; on the same file system, so that keeping is a rename
// Keeping: 1 the file is synced  2 it is renamed to its place  3 the folders that name it are synced.
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Digest, digestFromHex, hexOf } from '@aether/contract/digest'
import { syncFolder } from '@aether/runtime/atomic-file'
import { ControlError } from '../domain/errors.ts'
import type { Blobs, StagedBlob } from '../domain/ports.ts'
import { codeOf, toStorageError } from './storage-error.ts'

/** `root` is for this alone, and for one process: recover() removes whatever is in staging. */
export function createFolderBlobs(root: string): Blobs {
  const staging = join(root, 'staging')
  const pathOf = (digest: Digest) => join(root, 'sha256', hexOf(digest).slice(0, 2), hexOf(digest))

  /** Errors of the file system, as those of the table. */
  async function onDisk<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw toStorageError(error, root)
    }
  }

  async function makeFolders(): Promise<void> {
    for (const folder of [staging, join(root, 'sha256')]) await mkdir(folder, { recursive: true, mode: 0o700 })
  }

  async function keep(path: string, digest: Digest): Promise<void> {
    const place = pathOf(digest)
    await syncFile(path) // 1
    const made = await mkdir(dirname(place), { recursive: true, mode: 0o700 })
    await rename(path, place) // 2; over the same bytes, where they are there already
    await syncFolder(dirname(place)) // 3
    if (made !== undefined) await syncFolder(join(root, 'sha256'))
  }

  return {
    recover: () =>
      onDisk(async () => {
        await makeFolders()
        for (const name of await readdir(staging)) await rm(join(staging, name), { recursive: true, force: true })
        await syncFolder(root)
      }),

    async stage(chunks, maxBytes) {
      const path = join(staging, randomUUID())
      const discard = () => onDisk(() => rm(path, { force: true }))
      const file = await onDisk(async () => {
        await makeFolders()
        return open(path, 'wx', 0o600)
      })
      try {
        const { digest, bytes } = await receive(chunks, maxBytes, (chunk) => onDisk(() => file.writeFile(chunk)))
        await onDisk(() => file.close())
        return stagedBlob(digest, bytes, () => onDisk(() => keep(path, digest)), discard)
      } catch (error) {
        // What went wrong first says more; what these leave is recover()'s.
        await file.close().catch(() => {})
        await discard().catch(() => {})
        throw error
      }
    },

    sizeOf: (digest) =>
      onDisk(async () => {
        try {
          return (await stat(pathOf(digest))).size
        } catch (error) {
          if (codeOf(error) === 'ENOENT') return undefined
          throw error
        }
      }),

    open: (digest, range) =>
      onDisk(async () => {
        const file = await open(pathOf(digest), 'r').catch((cause: unknown) => {
          if (codeOf(cause) !== 'ENOENT') throw cause
          throw new ControlError('unknown_artifact', `there are no bytes of ${digest}: upload them again`, { cause })
        })
        // Closes the file by itself, at the end or when it is destroyed.
        return file.createReadStream(range ?? {})
      }),

    remove: (digest) =>
      onDisk(async () => {
        await rm(pathOf(digest), { force: true })
      }),
  }
}

/** One chunk at a time: no more is read than is written. */
async function receive(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
  write: (chunk: Uint8Array) => Promise<void>,
): Promise<{ readonly digest: Digest; readonly bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.byteLength
    if (bytes > maxBytes)
      throw new ControlError(
        'too_large',
        `the body has more than ${maxBytes} bytes: leave out what the app does not need`,
      )
    hash.update(chunk)
    await write(chunk)
  }
  return { digest: digestFromHex(hash.digest('hex')), bytes }
}

function stagedBlob(
  digest: Digest,
  bytes: number,
  keep: () => Promise<void>,
  discard: () => Promise<void>,
): StagedBlob {
  let isKept = false
  return {
    digest,
    bytes,
    async keep() {
      if (isKept) return
      await keep()
      isKept = true
    },
    async discard() {
      if (!isKept) await discard()
    },
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
