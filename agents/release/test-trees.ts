// For tests: a tree as a store serves it, put on the server of a test.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readSource } from '@aether/artifact/tree-source'
import { loadTree, writeTree } from '@aether/artifact/tree-store'
import { type Digest, hexOf } from '@aether/contract/digest'

export interface PublishedTree {
  readonly digest: Digest
  /** Of its root on the server; the others stand behind it. */
  readonly path: string
  /** Of its root on disk. */
  readonly file: string
}

let published = 0

/** The files of the tree of a folder, made in `store`; with deltas from those of `from`. */
export async function publishTree(
  routes: { set(path: string, bytes: Uint8Array): unknown },
  folder: string,
  store: string,
  from: readonly PublishedTree[] = [],
): Promise<PublishedTree> {
  const name = `tree-${++published}`
  const file = join(store, name)
  const old = await Promise.all(from.map((one) => loadTree(one.file)))
  const { digest } = await writeTree(readSource(folder), file, old)
  for (const part of readdirSync(store))
    if (part === name || part.startsWith(`${name}.`)) routes.set(`/${part}`, readFileSync(join(store, part)))
  return { digest, path: `/${name}`, file }
}

export function deltaPath(from: PublishedTree, to: PublishedTree): string {
  return `${to.path}.from-${hexOf(from.digest)}`
}
