// Holds a folder on disk against a tree: what is other than it says.

import type { StoredTree } from './delta-write.ts'
import { buildTree } from './tree-build.ts'
import { readSource } from './tree-source.ts'
import { type Change, diffTrees, type WalkLimits } from './tree-walk.ts'

/**
 * Reads every file. Answers what would have to change in the tree for it to be the folder: `add` is too much in the folder,
 * `remove` is missing there, `replace` is other there. Throws TreeError where the folder holds what no tree can.
 */
export async function verifyFolder(folder: string, tree: StoredTree, limits: WalkLimits): Promise<readonly Change[]> {
  const built = await buildTree(readSource(folder))
  const side = ({ digest, objects }: StoredTree) => ({ root: digest, store: (each: string) => objects.get(each) })
  return [...diffTrees(side(tree), side(built), limits)]
}
