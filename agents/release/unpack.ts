// gzip bytes in, a tree on disk out: inflate -> read -> admit -> write, as the bytes come. Files become 0755 or 0644, folders 0775 (less the umask).
import { closeSync, linkSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { refusal } from '@aether/contract/reasons'
import type { Room } from './budget.ts'
import { createTarReader, type ReadLimits, type TarEntry } from './tar-reader.ts'
import { createTreePolicy, type TreeLimits } from './tree-policy.ts'

export interface UnpackLimits extends TreeLimits, ReadLimits {
  readonly maxUnpackedBytes: number
  /** Bytes of tar to a byte of gzip; asked once there are many. */
  readonly maxUnpackRatio: number
}

export interface Unpacked {
  readonly files: number
  readonly bytes: number
}

export interface Unpacker {
  /** Resolves when more may be written. Rejects with a ReasonError `extract` or an error of the file system. */
  write(chunk: Uint8Array): Promise<void>
  /** The archive is whole and every rule held. */
  end(): Promise<Unpacked>
  /** Frees what is open; the tree so far is the caller's to remove. */
  abandon(): void
}

/** Up to here any ratio is taken: a small archive of zeros harms nobody. */
const ratioFloorBytes = 64 * 1024 * 1024

export function createUnpacker(folder: string, limits: UnpackLimits, room: Room): Unpacker {
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
        else if (entry.kind === 'symlink') symlinkSync(entry.to, place(policy.admitSymlink(entry.path, entry.to)))
        else {
          const { path, to } = policy.admitHardLink(entry.path, entry.to)
          linkSync(join(folder, to), place(path))
        }
      },
      data(part) {
        for (let at = 0; at < part.length; ) at += writeSync(open, part, at)
      },
      end: closeFile,
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
    const path = place(policy.admitFile(entry.path))
    room.take(entry.size)
    open = openSync(path, 'wx', entry.executable ? 0o755 : 0o644)
  }
  function closeFile(): void {
    if (open >= 0) closeSync(open)
    open = -1
  }
  function makeFolder(path: string): void {
    if (madeFolders.has(path)) return
    mkdirSync(join(folder, path), { recursive: true, mode: 0o775 })
    madeFolders.add(path)
  }
  function place(path: string): string {
    const parent = dirname(path)
    makeFolder(parent === '.' ? '' : parent)
    return join(folder, path)
  }

  const gunzip = createGunzip()
  let taken = 0
  let inflated = 0
  let failure: unknown
  let wake = () => {}
  const fail = (error: unknown) => {
    failure ??= error
    wake()
  }
  const ended = new Promise<void>((resolve) => gunzip.once('close', resolve))
  gunzip.on('error', (error) => fail(gzipError(error)))
  gunzip.on('drain', () => wake())
  gunzip.on('data', (data: Buffer) => {
    if (failure !== undefined) return
    try {
      inflated += data.length
      if (inflated > ratioFloorBytes && inflated > taken * limits.maxUnpackRatio)
        throw refusal(
          'extract',
          'limit',
          `the artifact unpacks to more than ${limits.maxUnpackRatio} times its bytes: raise AETHER_MAX_UNPACK_RATIO if that is right`,
        )
      reader.write(data)
    } catch (error) {
      fail(error)
    }
  })

  return {
    async write(chunk) {
      taken += chunk.length
      if (failure === undefined && !gunzip.write(chunk))
        await new Promise<void>((resolve) => {
          wake = resolve
          if (failure !== undefined) resolve()
        })
      if (failure !== undefined) throw failure
    },
    async end() {
      gunzip.end()
      await ended
      if (failure !== undefined) throw failure
      // Behind zeros zlib stops to look.
      if (gunzip.bytesWritten !== taken)
        throw refusal('extract', 'not_gzip', 'the artifact has something after its gzip stream: pack it again')
      reader.finish()
      policy.finish()
      return { files, bytes }
    },
    abandon() {
      closeFile()
      gunzip.destroy()
    },
  }
}

function gzipError(error: Error): unknown {
  const code = 'code' in error ? error.code : ''
  if (code === 'Z_BUF_ERROR')
    return refusal('extract', 'truncated', 'the artifact ends in the middle of its gzip stream: pack it again', {
      cause: error,
    })
  return refusal('extract', 'not_gzip', 'the artifact is no gzip stream: pack it as .tar.gz', { cause: error })
}
