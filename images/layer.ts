// A layer is a sorted list of entries: nothing of the machine that writes it (owners, times, umask) gets into it,
// so the same entries always give the same digest. https://github.com/opencontainers/image-spec/blob/main/layer.md
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path/posix'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGunzip, createGzip } from 'node:zlib'
import { Header } from 'tar'

/** A path is relative to the root and has no `.` or `..`; `from` is a file on this machine, or the bytes themselves. */
export type Entry = { readonly path: string; readonly mode: number; readonly owner: number } & (
  | { readonly type: 'File'; readonly from: string | Uint8Array }
  | { readonly type: 'Directory' }
  | { readonly type: 'SymbolicLink'; readonly target: string }
)

/** A layer on disk: `digest` and `bytes` of the gzip file, `diffId` and `unpackedBytes` of the tar inside. */
export type Layer = {
  readonly file: string
  readonly digest: string
  readonly bytes: number
  readonly diffId: string
  readonly unpackedBytes: number
}

export const fileEntry = (path: string, from: string | Uint8Array, mode = 0o644): Entry => ({
  type: 'File',
  path,
  from,
  mode,
  owner: 0,
})
export const textEntry = (path: string, text: string): Entry => fileEntry(path, Buffer.from(text))
export const folderEntry = (path: string, mode = 0o755, owner = 0): Entry => ({ type: 'Directory', path, mode, owner })
export const linkEntry = (path: string, target: string): Entry => ({
  type: 'SymbolicLink',
  path,
  target,
  mode: 0o777,
  owner: 0,
})

/** Writes the entries as a layer; every folder on the way to one is in it too, root's and 0755 unless listed. */
export async function writeLayer(entries: readonly Entry[], file: string, epoch: number): Promise<Layer> {
  const gzip = createGzip({ level: constants.Z_BEST_COMPRESSION })
  await pipeline(Readable.from(tarBytes(entries, epoch)), gzip, createWriteStream(`${file}.part`))
  await rename(`${file}.part`, file)
  return loadLayer(file)
}

/** Reads a written layer's facts from its bytes; a damaged file throws. */
export async function loadLayer(file: string): Promise<Layer> {
  const packed = createHash('sha256')
  const unpacked = createHash('sha256')
  let bytes = 0
  let unpackedBytes = 0
  await pipeline(
    createReadStream(file, { highWaterMark: 1 << 20 }),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        packed.update(chunk)
        bytes += chunk.length
        yield chunk
      }
    },
    createGunzip(),
    async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        unpacked.update(chunk)
        unpackedBytes += chunk.length
      }
    },
  )
  return {
    file,
    digest: `sha256:${packed.digest('hex')}`,
    bytes,
    diffId: `sha256:${unpacked.digest('hex')}`,
    unpackedBytes,
  }
}

/** The tar of the entries, sorted by path; also what an image archive is packed with. */
export async function* tarBytes(entries: readonly Entry[], epoch: number): AsyncGenerator<Uint8Array> {
  for (const entry of inOrder(entries)) {
    const size = entry.type === 'File' ? await sizeOf(entry.from) : 0
    yield header(entry, size, epoch)
    if (entry.type === 'File') {
      yield* content(entry.path, entry.from, size)
      yield Buffer.alloc((512 - (size % 512)) % 512)
    }
  }
  yield Buffer.alloc(1024)
}

function inOrder(entries: readonly Entry[]): Entry[] {
  const byPath = new Map<string, Entry>()
  for (const entry of entries) {
    if (!/^[^/]/.test(entry.path) || entry.path.split('/').some((part) => ['', '.', '..'].includes(part)))
      throw new Error(`a layer entry's path must be plain and relative: "${entry.path}"`)
    if (byPath.has(entry.path)) throw new Error(`the layer has two entries at ${entry.path}`)
    byPath.set(entry.path, entry)
  }
  for (const { path } of entries) {
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) {
      if (!byPath.has(parent)) byPath.set(parent, folderEntry(parent))
    }
  }
  return [...byPath.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

function header(entry: Entry, size: number, epoch: number): Uint8Array {
  const block = Buffer.alloc(512)
  const isLong = new Header({
    path: entry.type === 'Directory' ? `${entry.path}/` : entry.path,
    type: entry.type,
    mode: entry.mode,
    uid: entry.owner,
    gid: entry.owner,
    size,
    mtime: new Date(epoch * 1000),
    ...(entry.type === 'SymbolicLink' && { linkpath: entry.target }),
  }).encode(block)
  if (isLong) throw new Error(`a plain tar header cannot hold this entry; give it a shorter ASCII path: ${entry.path}`)
  return block
}

async function sizeOf(from: string | Uint8Array): Promise<number> {
  return typeof from === 'string' ? (await stat(from)).size : from.length
}

async function* content(path: string, from: string | Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  if (typeof from !== 'string') {
    yield from
    return
  }
  let read = 0
  for await (const chunk of createReadStream(from, { highWaterMark: 1 << 20 })) {
    const bytes: Buffer = chunk
    read += bytes.length
    yield bytes
  }
  if (read !== size) throw new Error(`${path} changed while it was read: ${read} bytes instead of ${size}`)
}
