// Which trees this process holds in memory: those of the last releases, so that a refresh reads what changed and not what
// there is. A fresh process loads the one that serves with its first refresh; an idle one holds nothing.
import type { Digest } from '@aether/contract/digest'
import type { VolumeLayout } from '@aether/contract/layout'
import { readRecord } from './record.ts'
import { type HeldTree, treeMemory } from './tree-memory.ts'
import { holdTree, holdTreeSlowly, loadTree, saveTree } from './tree-store.ts'

/** They share most of their objects. */
const mostTrees = 4

/** The tree of a release, from memory or its file; `undefined` where its objects are not here. */
export async function heldTree(layout: VolumeLayout, digest: Digest): Promise<HeldTree | undefined> {
  const { trees, unsaved } = treeMemory(layout)
  const known = trees.get(digest)
  if (known !== undefined) return keep(trees, known)
  const find = unsaved.get(digest)
  // The next target came before the background had the time.
  if (find !== undefined) return keep(trees, holdTree(digest, find))
  const loaded = await loadTree(layout, digest)
  return loaded && keep(trees, loaded)
}

/** Writes down what refreshes left in memory. Rejects where `signal` aborts; nothing is lost by it. */
export async function settleTrees(layout: VolumeLayout, signal: AbortSignal): Promise<void> {
  const { trees, unsaved } = treeMemory(layout)
  for (const [digest, find] of unsaved) {
    if ((await readRecord(layout, digest)) !== undefined) {
      const tree = trees.get(digest) ?? (await holdTreeSlowly(digest, find, signal))
      keep(trees, tree)
      await saveTree(layout, tree)
    }
    unsaved.delete(digest)
  }
}

function keep(trees: Map<Digest, HeldTree>, tree: HeldTree): HeldTree {
  trees.delete(tree.digest)
  trees.set(tree.digest, tree)
  for (const digest of trees.keys()) {
    if (trees.size <= mostTrees) break
    trees.delete(digest)
  }
  return tree
}
