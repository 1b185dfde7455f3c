// Whether a release that is a tree is what its digest says: it is read whole and made a tree of again. So a tree needs no
// manifest; its objects, where they are here, say what differs.
import { type BuildSink, type BuiltTree, buildTree } from '@aether/artifact/tree-build'
import { TreeError } from '@aether/artifact/tree-error'
import { textOf } from '@aether/artifact/tree-name'
import { readSource } from '@aether/artifact/tree-source'
import { type Digest, hexOf } from '@aether/contract/digest'
import type { VolumeLayout } from '@aether/contract/layout'
import { releasePath } from './activate.ts'
import { heldTree } from './held-trees.ts'
import type { Difference } from './manifest.ts'
import type { Slices } from './slices.ts'
import { type HeldTree, willHold } from './tree-memory.ts'
import { changesOf } from './tree-plan.ts'

/** What a file costs beside its bytes. */
const fileBytes = 8 * 1024

/** Reads the release; `undefined` where it is the tree of its digest, whose objects are known then. */
export async function findTreeDifference(
  layout: VolumeLayout,
  digest: Digest,
  slices: Slices,
): Promise<Difference | undefined> {
  const known = await heldTree(layout, digest)
  const pace: BuildSink = {
    folder: () => slices.spent(0),
    link: () => slices.spent(0),
    file: () => slices.spent(fileBytes),
    data: (bytes) => slices.spent(bytes.length),
    fileEnd: () => undefined,
  }
  const built = await readAgain(releasePath(layout, digest), pace)
  if (built.digest !== hexOf(digest))
    return known === undefined ? { detail: 'changed', path: '' } : firstOf(known, built)
  if (known === undefined) willHold(layout, digest, (name) => built.objects.get(name))
  return undefined
}

async function readAgain(folder: string, pace: BuildSink): Promise<BuiltTree> {
  try {
    return await buildTree(readSource(folder), pace)
  } catch (error) {
    // Something that no tree can hold, such as a socket: no digest is that.
    if (error instanceof TreeError)
      return { digest: '', objects: new Map(), contents: new Map(), entries: 0, files: 0, bytes: 0 }
    throw error
  }
}

function firstOf({ root, objects }: HeldTree, built: BuiltTree): Difference {
  if (built.digest === '') return { detail: 'changed', path: '' }
  const sides = [objects, built.objects].map((found) => (name: string) => found.get(name))
  const [wanted, there] = sides
  if (wanted === undefined || there === undefined) throw new Error('two sides')
  const changes = changesOf({ root, store: wanted }, { root: built.digest, store: there })
  const [first, second] = [changes.next().value, changes.next().value]
  if (first === undefined || !('path' in first)) return { detail: 'changed', path: '' }
  const path = textOf(first.path) ?? ''
  if (first.kind === 'add') return { detail: 'extra', path }
  // A folder where a file was, or the other way round, is told as two.
  const isReplaced =
    first.kind === 'replace' || (second !== undefined && 'path' in second && second.path === first.path)
  return { detail: isReplaced ? 'changed' : 'missing', path }
}
