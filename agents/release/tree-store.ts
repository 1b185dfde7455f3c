// The folder objects of a release that is a tree: in memory while the process lives, and in one file a release
// (`trees/sha256-<hex>`: u32 length and bytes of each, the root first), out of the app's sight. Their digests prove them.

import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { childrenOf } from '@aether/artifact/tree-children'
import { digestOfObject } from '@aether/artifact/tree-digest'
import { maxObjectBytes } from '@aether/artifact/tree-object'
import { type Digest, hexOf } from '@aether/contract/digest'
import type { VolumeLayout } from '@aether/contract/layout'
import { uniqueName } from '@aether/runtime/unique-name'
import { treePath } from './record.ts'
import type { FindObject, HeldTree } from './tree-memory.ts'

/** More than 200,000 entries can have. */
const maxFileBytes = 256 * 1024 * 1024
const sliceMs = 5

/** All objects that a root leads to, each once, a folder before what is in it. */
export function* reachable(root: string, find: FindObject): Generator<[string, Buffer]> {
  const seen = new Set<string>()
  const ahead = [root]
  for (let digest = ahead.pop(); digest !== undefined; digest = ahead.pop()) {
    if (seen.has(digest)) continue
    seen.add(digest)
    const bytes = find(digest)
    if (bytes === undefined) throw new Error(`the folder object ${digest} is not there`)
    yield [digest, bytes]
    ahead.push(...childrenOf(bytes))
  }
}

export function holdTree(digest: Digest, find: FindObject): HeldTree {
  const root = hexOf(digest)
  return { digest, root, objects: new Map(reachable(root, find)) }
}

/** In slices, so that nobody waits for it. */
export async function holdTreeSlowly(digest: Digest, find: FindObject, signal: AbortSignal): Promise<HeldTree> {
  const root = hexOf(digest)
  const objects = new Map<string, Buffer>()
  let sliceEnd = performance.now() + sliceMs
  for (const [name, bytes] of reachable(root, find)) {
    objects.set(name, bytes)
    if (performance.now() < sliceEnd) continue
    await turn(undefined, { signal })
    sliceEnd = performance.now() + sliceMs
  }
  return { digest, root, objects }
}

/** Not synced: what a crash of the kernel leaves of it does not have the digests. */
export async function saveTree(layout: VolumeLayout, tree: HeldTree): Promise<void> {
  const path = treePath(layout, tree.digest)
  const temporary = `${path}.${uniqueName()}.tmp`
  try {
    const file = await open(temporary, 'wx', 0o644)
    try {
      const parts = [...tree.objects.values()].flatMap((bytes) => {
        const length = Buffer.allocUnsafe(4)
        length.writeUInt32BE(bytes.length)
        return [length, bytes]
      })
      await file.writeFile(Buffer.concat(parts))
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** `undefined` where the file is not there, or not the objects of this tree, whole. */
export async function loadTree(layout: VolumeLayout, digest: Digest): Promise<HeldTree | undefined> {
  const path = treePath(layout, digest)
  try {
    if ((await stat(path)).size > maxFileBytes) return undefined
    const bytes = await readFile(path)
    const found = new Map<string, Buffer>()
    for (let at = 0; at < bytes.length; ) {
      const length = bytes.readUInt32BE(at)
      const object = bytes.subarray(at + 4, at + 4 + length)
      at += 4 + length
      if (length > maxObjectBytes || at > bytes.length) return undefined
      found.set(digestOfObject(object), object)
    }
    return holdTree(digest, (name) => found.get(name))
  } catch {
    return undefined
  }
}
