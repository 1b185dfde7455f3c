// The index of a full pack: all folder objects, and where in the pack each file lies. Only the objects prove themselves; the
// rest is a hint, and what is found by it counts when its digest holds.
import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import type { PackLayout } from './full-pack.ts'
import { createObjectCheck } from './object-check.ts'
import { paddingOf, tarBlock } from './tar-write.ts'
import { TreeError } from './tree-error.ts'
import type { ObjectStore } from './tree-folder.ts'
import { parseObject, type TreeEntry } from './tree-object.ts'
import { expandTree, type WalkLimits } from './tree-walk.ts'

export interface PackIndex extends PackLayout {
  readonly objects: ReadonlyMap<string, Buffer>
}

export interface IndexLimits {
  readonly maxEntries: number
  /** Of the index, unpacked. */
  readonly maxIndexBytes: number
}

const magic = Buffer.from('aether-index-1\0', 'latin1')
const level = 9

/** What an index holds before it is compressed; `objects` may be in any order. */
export function encodeIndex(root: string, objects: ReadonlyMap<string, Buffer>, layout: PackLayout): Buffer {
  const inOrder = parentsFirst(root, (digest) => objects.get(digest))
  const parts = [numbers([inOrder.length])]
  for (const [, bytes] of inOrder) parts.push(numbers([bytes.length]), bytes)
  parts.push(numbers([layout.frames.length]))
  parts.push(numbers(layout.frames.flatMap((frame) => [frame.packed, frame.unpacked])))
  parts.push(numbers([layout.headerBlocks.length]))
  const blocks = Buffer.alloc(layout.headerBlocks.length * 2)
  for (const [at, count] of layout.headerBlocks.entries()) blocks.writeUInt16BE(count, at * 2)
  return Buffer.concat([...parts, blocks])
}

export async function packIndex(body: Buffer): Promise<Buffer> {
  const packed = await promisify(zstdCompress)(body, {
    chunkSize: 256 * 1024,
    pledgedSrcSize: body.length,
    params: { [constants.ZSTD_c_compressionLevel]: level },
  })
  return Buffer.concat([magic, packed])
}

/** Throws TreeError, also where it is an index of another tree than `root`. */
export async function parseIndex(file: Buffer, root: string, limits: IndexLimits): Promise<PackIndex> {
  if (!magic.equals(file.subarray(0, magic.length))) throw new TreeError('malformed', 'the index does not begin as one')
  const body = await unpack(file.subarray(magic.length), limits.maxIndexBytes)
  let at = 0
  const take = (length: number) => {
    at += length
    if (at > body.length) throw new TreeError('malformed', 'the index ends too early')
    return body.subarray(at - length, at)
  }
  const number = () => take(4).readUInt32BE()
  const check = createObjectCheck(root, () => false, limits.maxEntries)
  const objects = new Map<string, Buffer>()
  for (let count = number(); count > 0; count--) {
    const bytes = take(number())
    objects.set(check.take(bytes), bytes)
  }
  check.requireAll()
  const pairs = take(number() * 8)
  const frames = []
  for (let from = 0; from < pairs.length; from += 8)
    frames.push({ packed: pairs.readUInt32BE(from), unpacked: pairs.readUInt32BE(from + 4) })
  const blocks = take(number() * 2)
  const headerBlocks = []
  for (let from = 0; from < blocks.length; from += 2) headerBlocks.push(blocks.readUInt16BE(from))
  if (at !== body.length) throw new TreeError('malformed', 'the index has something behind its end')
  return { objects, frames, headerBlocks }
}

export interface Placed {
  readonly path: string
  readonly entry: TreeEntry
  /** Of a file's content, in the tar. */
  readonly offset: number
}

/** Each entry and where its content begins. Throws TreeError where the index and the tree have not as many entries. */
export function* placeFiles(root: string, index: PackIndex, limits: WalkLimits): Generator<Placed> {
  let [at, offset] = [0, 0]
  for (const { path, entry } of expandTree(root, (digest) => index.objects.get(digest), limits)) {
    const blocks = index.headerBlocks[at++]
    if (blocks === undefined) break
    offset += blocks * tarBlock
    yield { path, entry, offset }
    if (entry.kind === 'file') offset += entry.size + paddingOf(entry.size)
  }
  if (at !== index.headerBlocks.length) throw new TreeError('malformed', 'the index is not that of its tree')
}

/** Folder objects, each once, the root first and none before one that speaks of it. */
export function parentsFirst(root: string, store: ObjectStore): readonly (readonly [string, Buffer])[] {
  const found = new Set([root])
  const list: [string, Buffer][] = []
  for (const digest of found) {
    const bytes = store(digest)
    if (bytes === undefined) continue
    list.push([digest, bytes])
    const object = parseObject(bytes)
    if (object.kind === 'branch') for (const chunk of object.chunks) found.add(chunk)
    else for (const entry of object.entries) if (entry.kind === 'folder') found.add(entry.digest)
  }
  return list
}

async function unpack(packed: Buffer, maxOutputLength: number): Promise<Buffer> {
  try {
    return await promisify(zstdDecompress)(packed, { maxOutputLength, chunkSize: 256 * 1024 })
  } catch (cause) {
    const isLarge = cause instanceof RangeError
    throw new TreeError(
      isLarge ? 'limit' : 'malformed',
      isLarge ? `the index has more than ${maxOutputLength} bytes, unpacked` : 'the index is not compressed as zstd',
      { cause },
    )
  }
}

function numbers(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [at, value] of values.entries()) bytes.writeUInt32BE(value, at * 4)
  return bytes
}
