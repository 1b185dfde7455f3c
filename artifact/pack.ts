// Packs a folder to a .tar.gz that is the same bytes for the same tree: sorted, no owner, no time, modes 0755 or 0644.
import { createHash } from 'node:crypto'
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { type Digest, digestFromHex } from '@aether/contract/digest'
import { create } from 'tar'

export interface Packed {
  readonly file: string
  readonly digest: Digest
  readonly bytes: number
  readonly entries: number
}

export class PackError extends Error {
  override readonly name = 'PackError'
}

const pieceBytes = 256 * 1024

/** Packs `folder` to `file`, which appears whole or not at all. Throws PackError for what no release may hold. */
export async function packFolder(folder: string, file: string): Promise<Packed> {
  const entries = await listEntries(folder)
  if (!entries.some((entry) => entry.isFile)) throw new PackError(`${folder} holds no file: pack the folder of an app`)
  await mkdir(dirname(file), { recursive: true })
  const temporary = `${file}.${process.pid}.tmp`
  try {
    await create(
      {
        cwd: folder,
        file: temporary,
        gzip: { level: 6 },
        // By itself it takes 16 MiB at a time, and several of them.
        maxReadSize: pieceBytes,
        portable: true,
        mtime: new Date(0),
        noDirRecurse: true,
        // Prefixed, so that no name is taken for an option such as @file.
        onWriteEntry(entry) {
          entry.path = entry.path.replace(/^\.\//, '')
          if (entry.stat !== undefined)
            entry.stat.mode = (entry.stat.mode & ~0o7777) | ((entry.stat.mode & 0o111) !== 0 ? 0o755 : 0o644)
        },
      },
      entries.map((entry) => `./${entry.path}`),
    )
    const { digest, bytes } = await digestFile(temporary)
    await rename(temporary, file)
    return { file, digest, bytes, entries: entries.length }
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** The digest and size of a file. */
export async function digestFile(path: string): Promise<{ readonly digest: Digest; readonly bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  const file = await open(path)
  try {
    // One buffer for all: those of a stream lie about until they are collected.
    const buffer = Buffer.allocUnsafe(pieceBytes)
    for (;;) {
      const { bytesRead } = await file.read(buffer)
      if (bytesRead === 0) break
      bytes += bytesRead
      hash.update(buffer.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
  return { digest: digestFromHex(hash.digest('hex')), bytes }
}

interface Entry {
  readonly path: string
  readonly isFile: boolean
}

/** Folders before what they hold, names in byte order. */
async function listEntries(root: string, folder = root): Promise<readonly Entry[]> {
  const found: Entry[] = []
  const names = (await readdir(folder)).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  for (const name of names) {
    const path = join(folder, name)
    const stat = await lstat(path)
    const shown = relative(root, path)
    if (!stat.isFile() && !stat.isDirectory() && !stat.isSymbolicLink())
      throw new PackError(`${shown} is neither file, folder nor symlink: leave it out of the release`)
    found.push({ path: shown, isFile: stat.isFile() })
    if (stat.isDirectory()) found.push(...(await listEntries(root, path)))
  }
  return found
}
