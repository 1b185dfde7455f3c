// What has to be done on disk to make one tree of another: each change that may be made, as the rules for entries say
// (tree-policy.ts), and what the whole will be then.
import { showPath, textOf } from '@aether/artifact/tree-name'
import type { TreeEntry } from '@aether/artifact/tree-object'
import { createTreePolicy, type TreeLimits, type TreePolicy } from '@aether/artifact/tree-policy'
import { type Change, diffTrees, expandTree, type TreeStep, type WalkLimits } from '@aether/artifact/tree-walk'
import { refusal } from '@aether/contract/reasons'
import type { FindObject } from './tree-memory.ts'

export interface PlanLimits extends TreeLimits {
  readonly maxUnpackedBytes: number
}

/** Of a whole tree; equal files count each time. */
export interface TreeTotals {
  /** Files, links and folders. */
  readonly entries: number
  /** Files and links. */
  readonly files: number
  readonly bytes: number
}

/** A file to be written; its path is below the release. */
export interface PlannedFile {
  readonly path: string
  readonly executable: boolean
  readonly size: number
  /** Another file or link is there. */
  readonly isTaken: boolean
}

export interface Plan {
  /** Below the release. */
  readonly removals: readonly { readonly path: string; readonly isFolder: boolean }[]
  readonly folders: readonly string[]
  readonly links: readonly { readonly path: string; readonly to: string; readonly isTaken: boolean }[]
  /** By digest. */
  readonly files: ReadonlyMap<string, readonly PlannedFile[]>
  readonly totals: TreeTotals
}

export interface Side {
  readonly root: string
  readonly store: FindObject
}

const endless: WalkLimits = {
  maxEntries: Number.MAX_SAFE_INTEGER,
  maxDepth: Number.MAX_SAFE_INTEGER,
  maxPathBytes: Number.MAX_SAFE_INTEGER,
  maxBytes: Number.MAX_SAFE_INTEGER,
}

/** All entries of a tree that was taken before. */
export function entriesOf({ root, store }: Side): Generator<TreeStep> {
  return expandTree(root, store, endless)
}

/** From one tree that was taken to another. */
export function changesOf(from: Side, to: Side): Generator<Change> {
  return diffTrees(from, to, endless)
}

/** `from` was taken before and has these `totals`. Throws TreeError, or a ReasonError `extract`. */
export function planChanges(from: Side, totals: TreeTotals, to: Side, limits: PlanLimits): Plan {
  const walk = { ...limits, maxBytes: limits.maxUnpackedBytes }
  const removals: Plan['removals'][number][] = []
  const folders: string[] = []
  const links: Plan['links'][number][] = []
  const files = new Map<string, PlannedFile[]>()
  const added: TreeStep[] = []
  const sum = { ...totals }
  let isLinked = false

  function count({ kind, ...entry }: TreeEntry, by: 1 | -1): void {
    sum.entries += by
    if (kind !== 'folder') sum.files += by
    if ('size' in entry) sum.bytes += by * entry.size
    if (kind === 'link') isLinked = true
  }
  function remove({ path, entry }: Change): void {
    count(entry, -1)
    removals.push({ path: textPath(path), isFolder: entry.kind === 'folder' })
    if (entry.kind !== 'folder') return
    for (const below of entriesOf({ root: entry.digest, store: from.store })) count(below.entry, -1)
  }
  function add({ path, entry }: Change, isTaken: boolean): void {
    count(entry, 1)
    added.push({ path, entry })
    const place = textPath(path)
    if (entry.kind === 'folder') folders.push(place)
    else if (entry.kind === 'link') links.push({ path: place, to: textPath(entry.to), isTaken })
    else {
      const planned = { path: place, executable: entry.executable, size: entry.size, isTaken }
      const same = files.get(entry.digest)
      if (same === undefined) files.set(entry.digest, [planned])
      else same.push(planned)
    }
  }

  for (const change of diffTrees(from, to, walk)) {
    if (change.kind === 'remove') remove(change)
    else if (change.kind === 'add') add(change, false)
    else {
      count(change.from, -1)
      add(change, true)
    }
  }
  if (sum.entries > limits.maxEntries)
    throw limited(`has ${sum.entries} entries, more than ${limits.maxEntries}: raise AETHER_MAX_ENTRIES`)
  if (sum.bytes > limits.maxUnpackedBytes)
    throw limited(`has ${sum.bytes} bytes, more than ${limits.maxUnpackedBytes}: raise AETHER_MAX_UNPACKED_BYTES`)
  // Where a link leads depends on all the others; and a name may collide with one that was there before.
  const isWhole = isLinked || limits.refuseCollisions
  admit(isWhole ? expandTree(to.root, to.store, walk) : added, createTreePolicy(limits))
  return { removals, folders, links, files, totals: sum }
}

function admit(steps: Iterable<TreeStep>, policy: TreePolicy): void {
  for (const { path, entry } of steps) {
    if (entry.kind === 'folder') policy.admitFolder(textPath(path))
    else if (entry.kind === 'link') policy.admitSymlink(textPath(path), textPath(entry.to))
    else policy.admitFile(textPath(path))
  }
  policy.finish()
}

/** As an archive's names: UTF-8, since two readers of other bytes would see two names. */
export function textPath(path: string): string {
  const text = textOf(path)
  if (text === undefined)
    throw refusal(
      'extract',
      'unsupported_entry',
      `${showPath(path)} is a name, or a symlink's target, that is not UTF-8`,
    )
  return text
}

function limited(what: string) {
  return refusal('extract', 'limit', `the release ${what} if that is right`)
}
