// A clone of a release by hard links: made by the tree that is known to lie there, so that no folder is read.
import { mkdirSync, symlinkSync } from 'node:fs'
import { diskPath } from '@aether/artifact/tree-name'
import { linkOrCopy } from './assembly.ts'
import type { HeldTree } from './tree-memory.ts'
import { entriesOf } from './tree-plan.ts'

/** One entry a step. `to` is not there yet. */
export function* cloneTree(tree: HeldTree, from: string, to: string): Generator<void> {
  mkdirSync(to, { mode: 0o775 })
  for (const { path, entry } of entriesOf({ root: tree.root, store: (digest) => tree.objects.get(digest) })) {
    // UTF-8, as all names of a tree that was taken.
    const place = String(diskPath(path))
    if (entry.kind === 'folder') mkdirSync(`${to}/${place}`, { mode: 0o775 })
    else if (entry.kind === 'link') symlinkSync(String(diskPath(entry.to)), `${to}/${place}`)
    else linkOrCopy(`${from}/${place}`, entry.executable, `${to}/${place}`, entry.executable)
    yield
  }
}
