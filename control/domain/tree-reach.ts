// All that some trees lead to: each folder object is read once, however many of them have it.
import { parseObject } from '@aether/artifact/tree-object'
import type { AppName } from './model.ts'
import type { Store } from './ports.ts'
import type { TreeBytes } from './tree-bytes.ts'

/** Digests of their folder objects and files. What is lost, and what that alone led to, is left out: its trees are lost, too. */
export async function reachFrom(
  app: AppName,
  roots: readonly string[],
  store: Pick<Store, 'findObjects'>,
  bytes: TreeBytes,
): Promise<ReadonlySet<string>> {
  const led = new Set(roots)
  for (let level = roots; level.length > 0; ) {
    const places = (await store.findObjects(app, level)).filter(({ kind }) => kind === 'object')
    const below: string[] = []
    // In the order of the packs, which are read in blocks.
    for (const place of places.toSorted((a, b) => (a.pack === b.pack ? a.at - b.at : a.pack < b.pack ? -1 : 1))) {
      const object = parseObject(await bytes.object(place))
      const found =
        object.kind === 'branch'
          ? object.chunks
          : object.entries.flatMap((entry) => (entry.kind === 'folder' ? [entry.digest] : []))
      if (object.kind !== 'branch') for (const entry of object.entries) if (entry.kind === 'file') led.add(entry.digest)
      for (const digest of found) if (!led.has(digest)) below.push(digest)
      for (const digest of found) led.add(digest)
    }
    level = below
  }
  return led
}
