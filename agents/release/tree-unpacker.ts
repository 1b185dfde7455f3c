// The tar of a full pack in, files on disk and their digests out. Read and admitted as every archive is (unpack.ts).
import { closeSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs'
import { createInflater } from '@aether/artifact/inflate'
import { createTarReader, type TarEntry } from '@aether/artifact/tar-reader'
import { fileTag } from '@aether/artifact/tree-digest'
import { createTreePolicy } from '@aether/artifact/tree-policy'
import { refusal } from '@aether/contract/reasons'
import type { Room } from './budget.ts'
import { type FileTask, writeFiles } from './file-writer.ts'
import type { TreeBuilder } from './tree-builder.ts'
import type { UnpackLimits } from './unpack.ts'

export interface TreeUnpacker {
  /** Resolves when more may be written. Rejects with ReasonError `extract` or an error of the file system. */
  write(chunk: Uint8Array): Promise<void>
  /** All is on disk and told to the builder. */
  end(): Promise<void>
  abandon(): void
}

interface PendingFile {
  readonly path: string
  readonly executable: boolean
  readonly size: number
}

export function createTreeUnpacker(
  folder: string,
  limits: UnpackLimits,
  room: Room,
  builder: TreeBuilder,
): TreeUnpacker {
  const policy = createTreePolicy(limits)
  const made = new Set([''])
  let bytes = 0
  let tasks: FileTask[] = []
  /** The files of `tasks`, in order. */
  let named: PendingFile[] = []
  let file: PendingFile | undefined
  /** Of a file that is in no part as a whole. */
  let open = -1
  let partStart = 0

  const reader = createTarReader({ entry, data, end: endFile }, limits)
  const inflater = createInflater(takePart, limits)

  function entry(found: TarEntry): void {
    if (found.kind === 'folder') makeFolder(policy.admitFolder(found.path).path)
    else if (found.kind === 'file') admitFile(found)
    else if (found.kind === 'symlink') {
      const path = policy.admitSymlink(found.path, found.to)
      symlinkSync(found.to, place(path))
      builder.link(path, found.to)
    } else
      throw refusal('extract', 'unsupported_entry', `${JSON.stringify(found.path)} is a hard link, which no tree has`)
  }
  function admitFile(found: TarEntry & { kind: 'file' }): void {
    bytes += found.size
    if (bytes > limits.maxUnpackedBytes)
      throw refusal(
        'extract',
        'limit',
        `the release is larger than ${limits.maxUnpackedBytes} bytes with ${JSON.stringify(found.path.slice(0, 120))}: raise AETHER_MAX_UNPACKED_BYTES if that is right`,
      )
    const path = policy.admitFile(found.path)
    room.take(found.size)
    place(path)
    file = { path, executable: found.executable, size: found.size }
  }
  function data(part: Uint8Array): void {
    if (file === undefined) return
    // The header stands before it, where the tag is put to be hashed with it.
    if (open < 0 && part.length === file.size && part.byteOffset - partStart >= fileTag.length) {
      const from = part.byteOffset - partStart
      tasks.push({ path: file.path, executable: file.executable, from, to: from + part.length })
      return
    }
    if (open < 0) begin(file)
    builder.fileData(part)
    for (let at = 0; at < part.length; ) at += writeSync(open, part, at)
  }
  function begin({ path, executable, size }: PendingFile): void {
    open = openSync(`${folder}/${path}`, 'wx', executable ? 0o755 : 0o644)
    builder.fileBegin(path, executable, size)
  }
  function endFile(): void {
    if (file === undefined) return
    if (open < 0 && file.size === 0) begin(file)
    if (open < 0) named.push(file)
    else {
      closeFile()
      builder.fileEnd()
    }
    file = undefined
  }
  function closeFile(): void {
    if (open >= 0) closeSync(open)
    open = -1
  }
  function makeFolder(path: string): void {
    if (made.has(path)) return
    place(path)
    mkdirSync(`${folder}/${path}`, { mode: 0o775 })
    made.add(path)
    builder.folder(path)
  }
  function place(path: string): string {
    makeFolder(path.slice(0, Math.max(0, path.lastIndexOf('/'))))
    return `${folder}/${path}`
  }

  function takePart(part: Uint8Array): void {
    partStart = part.byteOffset
    reader.write(part)
    const [mine, files] = [tasks, named]
    tasks = []
    named = []
    if (mine.length === 0) return
    const digests = writeFiles(folder, part, mine)
    for (const [at, { path, executable, size }] of files.entries())
      builder.file(path, executable, size, digests[at] ?? '')
  }

  return {
    write: inflater.write,
    async end() {
      await inflater.end()
      reader.finish()
      policy.finish()
    },
    abandon() {
      closeFile()
      inflater.abandon()
    },
  }
}
