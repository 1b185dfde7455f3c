// A tree with all its folder objects, from the root down, level by level: what a tree of late has is not read again.
import { parseObject } from '@aether/artifact/tree-object'
import { ControlError } from './errors.ts'
import type { AppName, StoredPlace } from './model.ts'
import type { Store } from './ports.ts'
import { inPackOrder, type TreeBytes } from './tree-bytes.ts'
import { toTreeProblem } from './tree-fault.ts'
import type { HeldTree } from './tree-memory.ts'

export interface LoadedTree {
  readonly tree: HeldTree
  /** What no artifact of the app names yet. */
  readonly unnamed: readonly string[]
  /** What is not there, or as another kind or size; then the tree is not whole. */
  readonly lacking: readonly string[]
}

/** `known` are trees of the app that are named, and whole. Throws `bad_tree`. */
export async function loadTree(
  app: AppName,
  root: string,
  known: readonly HeldTree[],
  store: Pick<Store, 'findObjects'>,
  bytesOf: TreeBytes,
  maxEntries: number,
): Promise<LoadedTree> {
  const objects = new Map<string, Buffer>()
  const contents = new Map<string, number>()
  const unnamed = new Set<string>()
  const lacking = new Set<string>()
  const unseen = new Map<string, number>()
  let listed = 0

  /** Answers the objects that it leads to. */
  function take(digest: string, bytes: Buffer, isKnown: boolean): readonly string[] {
    objects.set(digest, bytes)
    const object = parseObject(bytes)
    if (object.kind === 'branch') return object.chunks
    listed += object.entries.length
    if (listed > maxEntries)
      throw new ControlError('bad_tree', `the tree has more than ${maxEntries} entries (AETHER_MAX_ENTRIES)`)
    const below: string[] = []
    for (const entry of object.entries) {
      if (entry.kind === 'folder') below.push(entry.digest)
      if (entry.kind !== 'file') continue
      const size = contents.get(entry.digest) ?? entry.size
      if (size !== entry.size) throw new ControlError('bad_tree', `the file ${entry.digest} has two sizes in the tree`)
      contents.set(entry.digest, size)
      if (!isKnown) unseen.set(entry.digest, size)
    }
    return below
  }
  /** Holds what is there against what is wanted; answers the places in the order of the packs. */
  async function placesOf(wanted: readonly string[], kind: StoredPlace['kind']): Promise<readonly StoredPlace[]> {
    const places = (await store.findObjects(app, wanted)).filter((place) => place.kind === kind)
    const there = new Set(places.map(({ digest }) => digest))
    for (const digest of wanted) if (!there.has(digest)) lacking.add(digest)
    for (const { digest, isNamed } of places) if (!isNamed) unnamed.add(digest)
    return inPackOrder(places)
  }

  try {
    for (let level = [root]; level.length > 0; ) {
      const next = new Set<string>()
      const unread: string[] = []
      for (const digest of level) {
        const bytes = known.find((tree) => tree.objects.has(digest))?.objects.get(digest)
        if (bytes === undefined) unread.push(digest)
        else for (const below of take(digest, bytes, true)) next.add(below)
      }
      if (unread.length > 0)
        for (const place of await placesOf(unread, 'object')) {
          // A copy: what is read lies in a block that is larger by far.
          const bytes = Buffer.from(await bytesOf.object(place))
          for (const below of take(place.digest, bytes, false)) next.add(below)
        }
      level = [...next].filter((digest) => !objects.has(digest) && !lacking.has(digest))
    }
    const files = [...unseen.keys()].filter((digest) => !known.some((tree) => tree.contents.has(digest)))
    if (files.length > 0)
      for (const { digest, bytes } of await placesOf(files, 'file'))
        if (unseen.get(digest) !== bytes)
          throw new ControlError('bad_tree', `the file ${digest} has ${bytes} bytes, and the tree says another size`)
  } catch (error) {
    throw toTreeProblem(error)
  }
  return { tree: { digest: root, objects, contents, totals: undefined }, unnamed: [...unnamed], lacking: [...lacking] }
}
