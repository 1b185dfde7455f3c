// After a release was found damaged and brought again: the inode that was wrong may be that of other releases too. What the
// mended one has, they get from it, and are trusted again when all of it holds.

import { linkSync, lstatSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { diskPath } from '@aether/artifact/tree-name'
import type { Digest } from '@aether/contract/digest'
import type { VolumeLayout } from '@aether/contract/layout'
import { uniqueName } from '@aether/runtime/unique-name'
import { releasePath } from './activate.ts'
import { heldTree } from './held-trees.ts'
import { listReleases } from './prune.ts'
import { amendRecord, bootOf, readRecord } from './record.ts'
import type { Slices } from './slices.ts'
import { findTreeDifference } from './tree-check.ts'
import type { HeldTree } from './tree-memory.ts'
import { entriesOf } from './tree-plan.ts'

/** Looks at each release that lost its trust but for `live`, which has it. Rejects where `slices` end it; nothing is lost by it. */
export async function mendClones(layout: VolumeLayout, live: Digest, slices: Slices): Promise<void> {
  const boot = await bootOf(layout)
  const source = await heldTree(layout, live)
  if (source === undefined) return
  const places = placesOf(source)
  for (const digest of await listReleases(layout)) {
    const record = await readRecord(layout, digest)
    if (digest === live || !record?.tree || record.boot !== '') continue
    const tree = await heldTree(layout, digest)
    if (tree !== undefined) await relink(layout, tree, live, places, slices)
    if ((await findTreeDifference(layout, digest, slices)) === undefined) await amendRecord(layout, { ...record, boot })
  }
}

async function relink(
  layout: VolumeLayout,
  tree: HeldTree,
  live: Digest,
  places: ReadonlyMap<string, string>,
  slices: Slices,
): Promise<void> {
  const [from, to] = [releasePath(layout, live), releasePath(layout, tree.digest)]
  for (const { path, entry } of entriesOf({ root: tree.root, store: (digest) => tree.objects.get(digest) })) {
    const place = entry.kind === 'file' ? places.get(keyOf(entry)) : undefined
    if (place === undefined) continue
    const [right, theirs] = [`${from}/${place}`, `${to}/${String(diskPath(path))}`]
    if (lstatSync(theirs, { throwIfNoEntry: false })?.ino === lstatSync(right).ino) continue
    const temporary = join(layout.staging, `mend-${uniqueName()}`)
    try {
      linkSync(right, temporary)
      renameSync(temporary, theirs)
    } catch {
      // A folder that is gone, or too many links: what is read afterwards decides.
      rmSync(temporary, { force: true })
    }
    await slices.spent(0)
  }
}

/** Where a file of each digest and execute bit lies. */
function placesOf(tree: HeldTree): ReadonlyMap<string, string> {
  const places = new Map<string, string>()
  for (const { path, entry } of entriesOf({ root: tree.root, store: (digest) => tree.objects.get(digest) }))
    if (entry.kind === 'file') places.set(keyOf(entry), String(diskPath(path)))
  return places
}

function keyOf({ digest, executable }: { readonly digest: string; readonly executable: boolean }): string {
  return `${executable ? 'x' : 'f'}${digest}`
}
