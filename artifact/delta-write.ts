// Writes a delta pack: what one tree has and another has not, by digest; a file that only moved is not in it.

import { closeSync, openSync, readSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress } from 'node:zlib'
import { encodeDeltaHead } from './delta-pack.ts'
import { parentsFirst } from './index-pack.ts'
import { encodeRecordHead, recordHeadBytes } from './record-stream.ts'
import { createFileHash } from './tree-digest.ts'
import { TreeError } from './tree-error.ts'
import type { ObjectStore } from './tree-folder.ts'
import { parseObject } from './tree-object.ts'

export interface StoredTree {
  readonly digest: string
  readonly objects: ReadonlyMap<string, Buffer>
  /** Digests of all its files, where they are at hand; else the objects are looked through for them. */
  readonly contents?: ReadonlyMap<string, unknown>
}

export interface DeltaContent {
  readonly objects: readonly (readonly [string, Buffer])[]
  /** Digest and size of each file that the old tree has nowhere. */
  readonly files: ReadonlyMap<string, number>
}

/** zstd's level for so many bytes. */
export type LevelOf = (bytes: number) => number

/** For who packs once, and serves for long: as small as may be, up to where that takes time. */
const forStore: LevelOf = (bytes) => (bytes <= 2 * 1024 * 1024 ? 19 : 6)
/** For who is waited for: what takes a millisecond, and from there on as fast as a network takes it. */
export const forWaiting: LevelOf = (bytes) => (bytes <= 32 * 1024 ? 12 : 3)
const pieceBytes = 512 * 1024

export function deltaContent(from: StoredTree, to: StoredTree): DeltaContent {
  const store: ObjectStore = (digest) => (from.objects.has(digest) ? undefined : to.objects.get(digest))
  const objects = parentsFirst(to.digest, store)
  const old = from.contents ?? filesOf(from.objects.values())
  const files = new Map([...filesOf(objects.map(([, bytes]) => bytes))].filter(([digest]) => !old.has(digest)))
  return { objects, files }
}

/** `contents` says which file on disk has a digest; `put` gets the pack's bytes in order. */
export async function writeDelta(
  from: StoredTree,
  to: StoredTree,
  contents: ReadonlyMap<string, string | Buffer>,
  put: (packed: Uint8Array) => Promise<void>,
): Promise<void> {
  await put(encodeDeltaHead({ from: from.digest, to: to.digest }))
  const read: ReadFile = (digest, size) => piecesOf(contents.get(digest), digest, size)
  await writeRecords(deltaContent(from, to), read, put, forStore)
}

/** The content of a file, in pieces that are the reader's. Throws where it has other bytes by now. */
export type ReadFile = (digest: string, size: number) => Iterable<Buffer> | AsyncIterable<Buffer>

/** As one zstd stream. */
export async function writeRecords(
  content: DeltaContent,
  read: ReadFile,
  put: (packed: Uint8Array) => Promise<void>,
  levelOf: LevelOf,
): Promise<void> {
  const size = recordBytes(content)
  await pipeline(
    records(content, read),
    createZstdCompress({
      pledgedSrcSize: size,
      chunkSize: 128 * 1024,
      params: { [constants.ZSTD_c_compressionLevel]: levelOf(size) },
    }),
    async (parts: AsyncIterable<Uint8Array>) => {
      for await (const part of parts) await put(part)
    },
  )
}

/** Of all records, before they are compressed. */
export function recordBytes({ objects, files }: DeltaContent): number {
  let size = recordHeadBytes * (objects.length + files.size)
  for (const [, bytes] of objects) size += bytes.length
  for (const length of files.values()) size += length
  return size
}

async function* records({ objects, files }: DeltaContent, read: ReadFile): AsyncGenerator<Buffer> {
  for (const [digest, bytes] of objects) {
    yield encodeRecordHead('object', digest, bytes.length)
    yield bytes
  }
  for (const [digest, length] of files) {
    yield encodeRecordHead('file', digest, length)
    yield* read(digest, length)
  }
}

function filesOf(objects: Iterable<Buffer>): Map<string, number> {
  const files = new Map<string, number>()
  for (const bytes of objects) {
    const object = parseObject(bytes)
    if (object.kind === 'branch') continue
    for (const entry of object.entries) if (entry.kind === 'file') files.set(entry.digest, entry.size)
  }
  return files
}

/** Of a file on disk. A buffer of its own each: the stream takes them later. */
export function* piecesOf(file: string | Buffer | undefined, digest: string, size: number): Generator<Buffer> {
  if (file === undefined) throw new TreeError('missing', `the content of the file ${digest} is not there`)
  const open = openSync(file, 'r')
  const hash = createFileHash()
  try {
    for (let left = size; left > 0; ) {
      const piece = Buffer.allocUnsafe(Math.min(left, pieceBytes))
      const read = readSync(open, piece)
      if (read === 0) break
      left -= read
      hash.update(piece.subarray(0, read))
      yield piece.subarray(0, read)
    }
    if (hash.digest('hex') !== digest)
      throw new TreeError(
        'malformed',
        `${String(file)} changed while it was packed: pack a folder that nobody writes to`,
      )
  } finally {
    closeSync(open)
  }
}
