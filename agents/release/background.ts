// What is done for the trees of a volume while nothing else is to be done: their objects are written down, and the standby of
// the release that serves is made. For a release that is an archive there is nothing.
import type { Digest } from '@aether/contract/digest'
import type { VolumeLayout } from '@aether/contract/layout'
import { readCurrent } from './activate.ts'
import { heldTree, settleTrees } from './held-trees.ts'
import { bootOf, readRecord } from './record.ts'
import { dropStandby, hasStandby, offerOld, prepareStandby } from './standby.ts'

/** Rejects where `signal` ends it, which loses nothing, or where the volume does. */
export async function prepareNext(layout: VolumeLayout, withStandby: boolean, signal: AbortSignal): Promise<void> {
  await settleTrees(layout, signal)
  if (!withStandby) return dropStandby(layout)
  const live = await readCurrent(layout)
  if (live === null || hasStandby(layout, live)) return
  const record = await readRecord(layout, live)
  if (!record?.tree || record.mended || record.boot !== (await bootOf(layout))) return
  const tree = await heldTree(layout, live)
  if (tree !== undefined) await prepareStandby(layout, tree, signal)
}

/** Keeps an old release that was moved to `folder` for the next standby, where its files are trusted and its tree is known. */
export async function keepForStandby(layout: VolumeLayout, digest: Digest, folder: string): Promise<boolean> {
  const [record, boot] = [await readRecord(layout, digest), await bootOf(layout)]
  const tree = record?.tree && record.boot === boot ? await heldTree(layout, digest) : undefined
  if (tree === undefined) return false
  await offerOld(layout, { tree, folder })
  return true
}
