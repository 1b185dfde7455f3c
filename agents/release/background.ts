// What is done for the trees of a volume while nothing else is to be done: their objects are written down, and the standby of
// the release that serves is made. For a release that is an archive there is nothing.
import { existsSync } from 'node:fs'
import type { Digest } from '@aether/contract/digest'
import type { VolumeLayout } from '@aether/contract/layout'
import { readCurrent } from './activate.ts'
import { heldTree, settleTrees } from './held-trees.ts'
import { listReleases } from './prune.ts'
import { bootOf, readRecord, treePath } from './record.ts'
import type { Slices } from './slices.ts'
import { dropStandby, hasStandby, offerOld, prepareStandby } from './standby.ts'
import { treeMemory } from './tree-memory.ts'

const never = new AbortController().signal

/** Rejects where `signal` ends it, which loses nothing, or where the volume does. */
export async function prepareNext(layout: VolumeLayout, withStandby: boolean, signal: AbortSignal): Promise<void> {
  await settleTrees(layout, signal)
  const live = await readCurrent(layout)
  const record = live === null ? undefined : await readRecord(layout, live)
  if (!withStandby || live === null || !record?.tree) return dropStandby(layout)
  if (hasStandby(layout, live) || record.mended || record.boot !== (await bootOf(layout))) return
  const tree = await heldTree(layout, live)
  if (tree !== undefined) await prepareStandby(layout, tree, signal)
}

/** After a drift: other releases may have had the inode that was wrong. And what a kill lost of the tree is read again. */
export async function mendTrees(layout: VolumeLayout, live: Digest, slices: Slices): Promise<void> {
  if (!treeMemory(layout).trees.has(live) && !existsSync(treePath(layout, live))) {
    const { findTreeDifference } = await import('./tree-check.ts')
    // Where it differs, the next check says so.
    await findTreeDifference(layout, live, slices)
    await settleTrees(layout, never)
  }
  const records = await Promise.all((await listReleases(layout)).map((digest) => readRecord(layout, digest)))
  if (!records.some((record) => record?.tree && record.boot === '')) return
  const { mendClones } = await import('./mend-clones.ts')
  await mendClones(layout, live, slices)
}

/** Keeps an old release that was moved to `folder` for the next standby, where its files are trusted and its tree is known. */
export async function keepForStandby(layout: VolumeLayout, digest: Digest, folder: string): Promise<boolean> {
  const [record, boot] = [await readRecord(layout, digest), await bootOf(layout)]
  const live = await readCurrent(layout)
  const isForTree = live !== null && ((await readRecord(layout, live))?.tree ?? null) !== null
  const tree = isForTree && record?.tree && record.boot === boot ? await heldTree(layout, digest) : undefined
  if (tree === undefined) return false
  await offerOld(layout, { tree, folder })
  return true
}
