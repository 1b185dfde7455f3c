// For tests: puts trees on disk by their names as bytes, lists what is there, and applies a delta pack in the plainest way.
import {
  chmodSync,
  createReadStream,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createZstdDecompress } from 'node:zlib'
import { createDeltaReader, deltaHeadBytes, parseDeltaHead } from './delta-pack.ts'
import type { StoredTree } from './delta-write.ts'
import { digestOfFile } from './tree-digest.ts'
import { diskPath, pathBelow } from './tree-name.ts'
import type { TreeEntry } from './tree-object.ts'
import { diffTrees, expandTree } from './tree-walk.ts'

export const walkLimits = { maxEntries: 100_000, maxDepth: 64, maxPathBytes: 4000, maxBytes: 2 ** 32 }
export const deltaLimits = { maxEntries: 100_000, maxBytes: 2 ** 32 }

export type Planted =
  | { readonly kind: 'file'; readonly content: string | Uint8Array; readonly executable?: boolean }
  | { readonly kind: 'link'; readonly to: string }
  | { readonly kind: 'folder' }

/** `path` has one character a byte; `root` is ASCII. Whatever was there goes. */
export function plant(root: string, path: string, item: Planted): void {
  const place = diskPath(`${root}/${path}`)
  mkdirSync(diskPath(`${root}/${path}`.replace(/\/[^/]*$/, '')), { recursive: true })
  rmSync(place, { recursive: true, force: true })
  if (item.kind === 'folder') mkdirSync(place)
  else if (item.kind === 'link') symlinkSync(Buffer.from(item.to, 'latin1'), place)
  else {
    writeFileSync(place, item.content)
    chmodSync(place, item.executable === true ? 0o755 : 0o644)
  }
}

/** A line an entry: path, kind, execute bit, digest of the bytes, target. */
export function listFolder(root: string, folder = ''): string[] {
  return readdirSync(diskPath(`${root}/${folder}`), { encoding: 'latin1' })
    .toSorted()
    .flatMap((name) => {
      const path = pathBelow(folder, name)
      const place = diskPath(`${root}/${path}`)
      const stat = lstatSync(place)
      if (stat.isDirectory()) return [`${path} folder`, ...listFolder(root, path)]
      if (stat.isSymbolicLink()) return [`${path} link ${readlinkSync(place, 'latin1')}`]
      const letter = (stat.mode & 0o111) === 0 ? 'f' : 'x'
      return [`${path} ${letter} ${stat.size} ${digestOfFile(readFileSync(place))}`]
    })
}

/** A tree's entries in the words of `listFolder`. */
export function listTree(tree: StoredTree): string[] {
  return [...expandTree(tree.digest, (digest) => tree.objects.get(digest), walkLimits)].map(({ path, entry }) => {
    if (entry.kind === 'folder') return `${path} folder`
    if (entry.kind === 'link') return `${path} link ${entry.to}`
    return `${path} ${entry.executable ? 'x' : 'f'} ${entry.size} ${entry.digest}`
  })
}

export interface ReadDelta {
  readonly objects: Map<string, Buffer>
  readonly files: Map<string, Buffer>
}

/** The records of a delta pack on disk, each proven. */
export async function readDelta(file: string, from: StoredTree, to: string): Promise<ReadDelta> {
  const head = parseDeltaHead(readFileSync(file).subarray(0, deltaHeadBytes))
  if (head.from !== from.digest || head.to !== to) throw new Error('the delta pack is one of other trees')
  const collected = collector()
  const reader = createDeltaReader(to, (digest) => from.objects.has(digest), collected.sink, deltaLimits)
  const stream = createReadStream(file, { start: deltaHeadBytes }).pipe(createZstdDecompress({ chunkSize: 1000 }))
  for await (const part of stream) if (Buffer.isBuffer(part)) reader.write(part)
  reader.finish()
  return collected
}

export function collector() {
  const objects = new Map<string, Buffer>()
  const files = new Map<string, Buffer>()
  let parts: Buffer[] = []
  const sink = {
    object: (digest: string, bytes: Buffer) => void objects.set(digest, bytes),
    fileBegin: () => void (parts = []),
    fileData: (bytes: Uint8Array) => void parts.push(Buffer.from(bytes)),
    fileEnd: (digest: string) => void files.set(digest, Buffer.concat(parts)),
  }
  return { objects, files, sink }
}

/** Makes `root`, which is `from`, what `to` is. */
export function applyDelta(root: string, from: StoredTree, to: string, delta: ReadDelta): void {
  const moved = contentsOf(root, from, delta)
  const objects = new Map([...from.objects, ...delta.objects])
  const side = (digest: string, store: ReadonlyMap<string, Buffer>) => ({
    root: digest,
    store: (each: string) => store.get(each),
  })
  for (const change of diffTrees(side(from.digest, from.objects), side(to, objects), walkLimits)) {
    if (change.kind === 'remove') rmSync(diskPath(`${root}/${change.path}`), { recursive: true })
    else plant(root, change.path, planted(change.entry, moved))
  }
}

/** Before anything changes: a file that moved is read where it was. */
function contentsOf(root: string, from: StoredTree, delta: ReadDelta): ReadonlyMap<string, Buffer> {
  const contents = new Map(delta.files)
  for (const { path, entry } of expandTree(from.digest, (digest) => from.objects.get(digest), walkLimits))
    if (entry.kind === 'file' && !contents.has(entry.digest))
      contents.set(entry.digest, readFileSync(diskPath(`${root}/${path}`)))
  return contents
}

function planted(entry: TreeEntry, contents: ReadonlyMap<string, Buffer>): Planted {
  if (entry.kind !== 'file') return entry
  const content = contents.get(entry.digest)
  if (content === undefined) throw new Error(`the content of ${entry.name} is neither in the delta nor in the old tree`)
  return { kind: 'file', content, executable: entry.executable }
}
