// Walks trees: all entries of one, or what changed between two, where folders of the same digest are passed over. Counts what
// it expands, since a few objects can stand for more entries than any disk holds.
import { TreeError } from './tree-error.ts'
import { type ObjectStore, readFolder, readPair } from './tree-folder.ts'
import { pathBelow, showPath } from './tree-name.ts'
import type { FileEntry, LinkEntry, TreeEntry } from './tree-object.ts'

export interface WalkLimits {
  /** Expanded, the root not counted. */
  readonly maxEntries: number
  readonly maxDepth: number
  readonly maxPathBytes: number
  /** Of all files; equal files count each time. */
  readonly maxBytes: number
}

export interface TreeStep {
  /** One character a byte (tree-name.ts). */
  readonly path: string
  readonly entry: TreeEntry
}

export type Change =
  /** Of a folder only the folder itself is told: all below it goes too. */
  | { readonly kind: 'remove'; readonly path: string; readonly entry: TreeEntry }
  /** A folder comes before what it holds. */
  | { readonly kind: 'add'; readonly path: string; readonly entry: TreeEntry }
  | {
      readonly kind: 'replace'
      readonly path: string
      readonly from: FileEntry | LinkEntry
      readonly entry: FileEntry | LinkEntry
    }

export interface Sum {
  readonly entries: number
  readonly bytes: number
}

/** Each entry, a folder before what it holds, in order of names. Throws TreeError. */
export function* expandTree(root: string, store: ObjectStore, limits: WalkLimits): Generator<TreeStep, Sum> {
  const count = createCount(limits)
  yield* expand(root, '', 1, store, count)
  return count.sum()
}

/**
 * From one tree to the other, in order of paths; what is removed comes before what is added at its place. The limits hold
 * for what is added and replaced: the caller knows what it had. Throws TreeError; `to` may be anybody's, `from` is trusted.
 */
export function* diffTrees(
  from: { readonly root: string; readonly store: ObjectStore },
  to: { readonly root: string; readonly store: ObjectStore },
  limits: WalkLimits,
): Generator<Change, Sum> {
  const count = createCount(limits)
  yield* compare(from.root, to.root, '', 1)
  return count.sum()

  function* compare(oldDigest: string, newDigest: string, folder: string, depth: number): Generator<Change> {
    if (oldDigest === newDigest) return
    const pair = readPair(oldDigest, from.store, newDigest, to.store)
    count.list(folder, pair.to)
    for (const { name, old, entry } of alongside(pair.from, pair.to)) {
      const path = pathBelow(folder, name)
      if (old === undefined) {
        if (entry !== undefined) yield* add(path, entry, depth)
      } else if (entry === undefined) yield { kind: 'remove', path, entry: old }
      else if (old.kind === 'folder' && entry.kind === 'folder') {
        if (old.digest === entry.digest) continue
        count.take(path, entry, depth)
        yield* compare(old.digest, entry.digest, path, depth + 1)
      } else if (old.kind === 'folder' || entry.kind === 'folder') {
        yield { kind: 'remove', path, entry: old }
        yield* add(path, entry, depth)
      } else if (!isSame(old, entry)) {
        count.take(path, entry, depth)
        yield { kind: 'replace', path, from: old, entry }
      }
    }
  }

  function* add(path: string, entry: TreeEntry, depth: number): Generator<Change> {
    count.take(path, entry, depth)
    yield { kind: 'add', path, entry }
    if (entry.kind === 'folder')
      for (const step of expand(entry.digest, path, depth + 1, to.store, count)) yield { kind: 'add', ...step }
  }
}

type Count = ReturnType<typeof createCount>

function* expand(root: string, folder: string, depth: number, store: ObjectStore, count: Count): Generator<TreeStep> {
  // A stack of our own: nested generators would cost each entry its depth.
  const open = (path: string, digest: string) => {
    const entries = readFolder(digest, store)
    count.list(path, entries)
    return { folder: path, entries, at: 0 }
  }
  const ahead = [open(folder, root)]
  for (let top = ahead.at(-1); top !== undefined; top = ahead.at(-1)) {
    const entry = top.entries[top.at++]
    if (entry === undefined) {
      ahead.pop()
      continue
    }
    const path = pathBelow(top.folder, entry.name)
    count.take(path, entry, depth + ahead.length - 1)
    yield { path, entry }
    if (entry.kind === 'folder') ahead.push(open(path, entry.digest))
  }
}

function createCount(limits: WalkLimits) {
  let listed = 0
  let entries = 0
  let bytes = 0
  return {
    /** Counted as soon as they are in memory: else each level of a deep tree could hold as many. */
    list(folder: string, more: readonly TreeEntry[]): void {
      listed += more.length
      if (listed > limits.maxEntries) throw over(`more than ${limits.maxEntries} entries`, folder)
    },
    take(path: string, entry: TreeEntry, depth: number): void {
      entries++
      if (entry.kind === 'file') bytes += entry.size
      if (bytes > limits.maxBytes) throw over(`more than ${limits.maxBytes} bytes`, path)
      if (depth > limits.maxDepth) throw over(`more than ${limits.maxDepth} folders one in the other`, path)
      if (path.length > limits.maxPathBytes) throw over(`a path of more than ${limits.maxPathBytes} bytes`, path)
    },
    sum: (): Sum => ({ entries, bytes }),
  }
}

interface Beside {
  readonly name: string
  readonly old?: TreeEntry
  readonly entry?: TreeEntry
}

/** The entries of two sorted lists, those of the same name together. */
function* alongside(left: readonly TreeEntry[], right: readonly TreeEntry[]): Generator<Beside> {
  let at = 0
  for (const old of left) {
    for (let entry = right[at]; entry !== undefined && entry.name < old.name; entry = right[++at])
      yield { name: entry.name, entry }
    const entry = right[at]
    if (entry?.name === old.name) at++
    yield entry?.name === old.name ? { name: old.name, old, entry } : { name: old.name, old }
  }
  for (const entry of right.slice(at)) yield { name: entry.name, entry }
}

function isSame(old: FileEntry | LinkEntry, entry: FileEntry | LinkEntry): boolean {
  if (old.kind === 'link' || entry.kind === 'link')
    return old.kind === 'link' && entry.kind === 'link' && old.to === entry.to
  if (old.digest !== entry.digest) return false
  if (old.size !== entry.size)
    throw new TreeError('malformed', `the file ${entry.digest} has two sizes, one of them at ${showPath(entry.name)}`)
  return old.executable === entry.executable
}

function over(what: string, path: string): TreeError {
  return new TreeError('limit', `the tree has ${what} at ${showPath(path)}`)
}
