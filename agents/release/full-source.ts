// A tree from its full pack alone, where no index says what is in it: an archive, unpacked with all the care that archives get. It has no digest of its own: each file
// is hashed on its way to disk, and the tree that this makes is the wanted one, or nothing of it counts.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fullSuffix } from '@aether/artifact/store-names'
import { TreeError } from '@aether/artifact/tree-error'
import { hexOf } from '@aether/contract/digest'
import { releaseName } from '@aether/contract/layout'
import { uniqueName } from '@aether/runtime/unique-name'
import type { Download } from './download.ts'
import { removeTree } from './remove-tree.ts'
import { createTreeBuilder } from './tree-builder.ts'
import { openBeside, type TreeContext, wireBytes } from './tree-context.ts'
import { provenTree, type StagedTree } from './tree-staged.ts'
import { createTreeUnpacker } from './tree-unpacker.ts'

/** Throws what the server or the disk says, TreeError, ReasonError; then staging is as it was. `opened` may be the pack already. */
export async function bringFull(context: TreeContext, opened?: Download): Promise<StagedTree> {
  const { presumed, layout, limits, room } = context
  const { digest } = presumed.target
  const download = opened ?? (await openBeside(context, fullSuffix))
  const signed = presumed.confirm()
  const folder = join(layout.staging, `${releaseName(digest)}-${uniqueName()}`)
  const builder = createTreeBuilder()
  const unpacker = createTreeUnpacker(folder, limits, room, builder)
  try {
    await mkdir(folder, { recursive: true, mode: 0o775 })
    for await (const chunk of download.read()) await unpacker.write(chunk)
    await unpacker.end()
    const { root, objects, totals } = builder.build()
    if (root !== hexOf(digest))
      throw new TreeError('mismatch', `the full pack makes the tree ${root}, and not ${hexOf(digest)}`)
    return provenTree(signed, {
      folder,
      totals,
      source: 'full',
      wireBytes: wireBytes(context),
      reusedFiles: 0,
      reusedBytes: 0,
      ancestors: [],
      find: (name) => objects.get(name),
    })
  } catch (error) {
    download.cancel()
    unpacker.abandon()
    await removeTree(folder)
    throw error
  }
}
