// A folder out of its objects: one list, or the chunks of a branch put together, refused unless cut as the rule says.
import { beginsChunk, maxChunkEntries } from './chunk-rule.ts'
import { TreeError } from './tree-error.ts'
import { countOf, parseObject, type TreeEntry } from './tree-object.ts'

/** Where objects come from: their bytes, which have that digest, or undefined. */
export type ObjectStore = (digest: string) => Buffer | undefined

/** The entries in order. Throws TreeError. */
export function readFolder(digest: string, store: ObjectStore): readonly TreeEntry[] {
  const object = parseObject(load(digest, store))
  if (object.kind === 'entries') return object.entries
  const chunks = object.chunks.map((chunk) => readChunk(chunk, store))
  checkCuts(digest, chunks)
  return chunks.flat()
}

export interface FolderPair {
  /** Entries of each side without those chunks that both have. */
  readonly from: readonly TreeEntry[]
  readonly to: readonly TreeEntry[]
}

/** For a comparison: of a large folder only the chunks that differ are read. The new side is checked, the old one was. */
export function readPair(fromDigest: string, from: ObjectStore, toDigest: string, to: ObjectStore): FolderPair {
  const old = chunksOf(fromDigest, from)
  const next = chunksOf(toDigest, to)
  const oldChunks = new Set(old.chunks)
  const kept = new Set(next.chunks.filter((chunk) => oldChunks.has(chunk)))
  if (next.isBranch) checkBranch(toDigest, next.chunks, old.isBranch ? old.chunks : [], to)
  const entriesOf = (chunks: readonly string[], store: ObjectStore) =>
    chunks.filter((chunk) => !kept.has(chunk)).flatMap((chunk) => readChunk(chunk, store))
  return { from: entriesOf(old.chunks, from), to: entriesOf(next.chunks, to) }
}

function chunksOf(digest: string, store: ObjectStore) {
  const object = parseObject(load(digest, store))
  const isBranch = object.kind === 'branch'
  return { isBranch, chunks: isBranch ? object.chunks : [digest] }
}

/** As `checkCuts`, but what was so in the old branch is not looked at again. */
function checkBranch(digest: string, chunks: readonly string[], old: readonly string[], store: ObjectStore): void {
  const known = new Set(old)
  const neighbours = new Set(old.map((chunk, at) => `${old[at - 1] ?? ''}${chunk}`))
  const total = chunks.reduce((sum, chunk) => sum + countOf(load(chunk, store)), 0)
  if (total <= maxChunkEntries) throw badCut(digest)
  for (const [at, chunk] of chunks.entries()) {
    const before = chunks[at - 1]
    if (!known.has(chunk)) checkInside(digest, readChunk(chunk, store))
    if (before === undefined || neighbours.has(before + chunk)) continue
    checkBetween(digest, readChunk(before, store), readChunk(chunk, store))
  }
}

function checkCuts(digest: string, chunks: readonly (readonly TreeEntry[])[]): void {
  if (chunks.reduce((sum, chunk) => sum + chunk.length, 0) <= maxChunkEntries) throw badCut(digest)
  for (const [at, chunk] of chunks.entries()) {
    checkInside(digest, chunk)
    const before = chunks[at - 1]
    if (before !== undefined) checkBetween(digest, before, chunk)
  }
}

function checkInside(digest: string, chunk: readonly TreeEntry[]): void {
  if (chunk.length === 0 || chunk.slice(1).some((entry) => beginsChunk(entry.name))) throw badCut(digest)
}

function checkBetween(digest: string, before: readonly TreeEntry[], after: readonly TreeEntry[]): void {
  const [last, first] = [before.at(-1), after[0]]
  if (last === undefined || first === undefined || first.name <= last.name) throw badCut(digest)
  if (before.length < maxChunkEntries && !beginsChunk(first.name)) throw badCut(digest)
}

function readChunk(digest: string, store: ObjectStore): readonly TreeEntry[] {
  const object = parseObject(load(digest, store))
  if (object.kind === 'entries') return object.entries
  throw new TreeError('malformed', `the folder object ${digest} is a branch inside of a branch`)
}

function load(digest: string, store: ObjectStore): Buffer {
  const bytes = store(digest)
  if (bytes === undefined) throw new TreeError('missing', `the folder object ${digest} is not there`)
  return bytes
}

function badCut(digest: string): TreeError {
  return new TreeError('malformed', `the folder object ${digest} is a branch that is not cut as its names say`)
}
