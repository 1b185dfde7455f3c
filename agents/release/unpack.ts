// The artifact's bytes in, a tree on disk out: inflate -> read -> admit -> write, as the bytes come. Files become 0755 or 0644, folders 0775 (less the umask).
import { closeSync, linkSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs'
import { createInflater, type InflateLimits } from '@aether/artifact/inflate'
import { createTarReader, type ReadLimits, type TarEntry } from '@aether/artifact/tar-reader'
import { createTreePolicy, type TreeLimits } from '@aether/artifact/tree-policy'
import { refusal } from '@aether/contract/reasons'
import type { Room } from './budget.ts'

export interface UnpackLimits extends TreeLimits, ReadLimits, InflateLimits {
  readonly maxUnpackedBytes: number
}

export interface Unpacked {
  readonly files: number
  readonly bytes: number
}

/** Told of what is written; paths are as on disk. */
export interface UnpackWatcher {
  folder(path: string): void
  link(path: string, to: string): void
  fileBegin(path: string, executable: boolean, size: number): void
  fileData(bytes: Uint8Array): void
  fileEnd(): void
}

export interface Unpacker {
  /** Resolves when more may be written. Rejects with a ReasonError `extract` or an error of the file system. */
  write(chunk: Uint8Array): Promise<void>
  /** The archive is whole and every rule held. */
  end(): Promise<Unpacked>
  /** Frees what is open; the tree so far is the caller's to remove. */
  abandon(): void
}

export function createUnpacker(folder: string, limits: UnpackLimits, room: Room, watcher?: UnpackWatcher): Unpacker {
  const policy = createTreePolicy(limits)
  const madeFolders = new Set([''])
  let files = 0
  let bytes = 0
  let open = -1

  // Small synchronous calls: on many small files they cost less than their asynchronous kin.
  const reader = createTarReader(
    {
      entry(entry) {
        if (entry.kind === 'folder') return makeFolder(policy.admitFolder(entry.path).path)
        files++
        if (entry.kind === 'file') openFile(entry)
        else if (entry.kind === 'symlink') {
          const path = policy.admitSymlink(entry.path, entry.to)
          symlinkSync(entry.to, place(path))
          watcher?.link(path, entry.to)
        } else if (watcher !== undefined)
          throw refusal(
            'extract',
            'unsupported_entry',
            `${JSON.stringify(entry.path)} is a hard link, which no tree has`,
          )
        else {
          const { path, to } = policy.admitHardLink(entry.path, entry.to)
          linkSync(`${folder}/${to}`, place(path))
        }
      },
      data(part) {
        watcher?.fileData(part)
        for (let at = 0; at < part.length; ) at += writeSync(open, part, at)
      },
      end() {
        closeFile()
        watcher?.fileEnd()
      },
    },
    limits,
  )

  function openFile(entry: TarEntry & { kind: 'file' }): void {
    bytes += entry.size
    if (bytes > limits.maxUnpackedBytes)
      throw refusal(
        'extract',
        'limit',
        `the release is larger than ${limits.maxUnpackedBytes} bytes with ${JSON.stringify(entry.path.slice(0, 120))}: raise AETHER_MAX_UNPACKED_BYTES if that is right`,
      )
    const path = policy.admitFile(entry.path)
    room.take(entry.size)
    open = openSync(place(path), 'wx', entry.executable ? 0o755 : 0o644)
    watcher?.fileBegin(path, entry.executable, entry.size)
  }
  function closeFile(): void {
    if (open >= 0) closeSync(open)
    open = -1
  }
  function makeFolder(path: string): void {
    if (madeFolders.has(path)) return
    if (watcher !== undefined && path !== '') makeFolder(path.slice(0, Math.max(0, path.lastIndexOf('/'))))
    mkdirSync(`${folder}/${path}`, { recursive: true, mode: 0o775 })
    madeFolders.add(path)
    watcher?.folder(path)
  }
  function place(path: string): string {
    makeFolder(path.slice(0, Math.max(0, path.lastIndexOf('/'))))
    return `${folder}/${path}`
  }

  const inflater = createInflater(reader.write, limits)
  return {
    write: inflater.write,
    async end() {
      await inflater.end()
      reader.finish()
      policy.finish()
      return { files, bytes }
    },
    abandon() {
      closeFile()
      inflater.abandon()
    },
  }
}
