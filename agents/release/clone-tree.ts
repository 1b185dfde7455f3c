// A clone of a release by hard links, made by the trees that are known to lie there, so that no folder is read: from nothing,
// or from an older release, of which only what differs is touched.
import { mkdirSync, renameSync, symlinkSync, unlinkSync } from 'node:fs'
import { diskPath } from '@aether/artifact/tree-name'
import type { TreeEntry } from '@aether/artifact/tree-object'
import { linkOrCopy } from './assembly.ts'
import type { HeldTree } from './tree-memory.ts'
import { changesOf, entriesOf } from './tree-plan.ts'

/** A release on disk. */
export interface Placed {
  readonly tree: HeldTree
  readonly folder: string
}

/** One entry a step. `to` is not there yet. */
export function* cloneTree({ tree, folder }: Placed, to: string): Generator<void> {
  mkdirSync(to, { mode: 0o775 })
  for (const { path, entry } of entriesOf(sideOf(tree))) {
    put(pathOf(path), entry, folder, to)
    yield
  }
}

/** One change a step: the folder of `old` becomes a clone. What was a folder is moved to a place that `aside` names. */
export function* convertTree({ tree, folder }: Placed, old: Placed, aside: () => string): Generator<void> {
  for (const { kind, path, entry } of changesOf(sideOf(old.tree), sideOf(tree))) {
    const place = `${old.folder}/${pathOf(path)}`
    if (kind === 'remove' && entry.kind === 'folder') renameSync(place, aside())
    else if (kind !== 'add') unlinkSync(place)
    if (kind !== 'remove') put(pathOf(path), entry, folder, old.folder)
    yield
  }
}

function put(path: string, entry: TreeEntry, from: string, to: string): void {
  if (entry.kind === 'folder') mkdirSync(`${to}/${path}`, { mode: 0o775 })
  else if (entry.kind === 'link') symlinkSync(pathOf(entry.to), `${to}/${path}`)
  else linkOrCopy(`${from}/${path}`, entry.executable, `${to}/${path}`, entry.executable)
}

function sideOf({ root, objects }: HeldTree) {
  return { root, store: (digest: string) => objects.get(digest) }
}

/** UTF-8, as all names of a tree that was taken. */
function pathOf(path: string): string {
  return String(diskPath(path))
}
