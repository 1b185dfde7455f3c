// All that some trees lead to: each folder object is read once, however many of them have it.
import { parseObject } from '@aether/artifact/tree-object'
import type { AppName } from './model.ts'
import type { Store } from './ports.ts'
import { inPackOrder, type TreeBytes } from './tree-bytes.ts'

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
    for (const place of inPackOrder(places)) {
      const object = parseObject(await bytes.object(place))
      const lead = (digest: string) => {
        if (!led.has(digest)) below.push(digest)
        led.add(digest)
      }
      if (object.kind === 'branch') object.chunks.forEach(lead)
      else
        for (const entry of object.entries) {
          if (entry.kind === 'folder') lead(entry.digest)
          else if (entry.kind === 'file') led.add(entry.digest)
        }
    }
    level = below
  }
  return led
}
