// The files of a tree, for any static server or bucket: the root, the full pack, its index, and deltas from releases before.
import { join } from 'node:path'
import type { StoredTree } from '@aether/artifact/delta-write'
import { TreeError } from '@aether/artifact/tree-error'
import { readSource } from '@aether/artifact/tree-source'
import { loadTree, type StoreFile, writeTree } from '@aether/artifact/tree-store'
import { errnoOf, Failure } from './failure.ts'
import type { Output } from './output.ts'

export interface TreeOptions {
  /** Of the root object; the others lie beside it. */
  readonly file: string
  /** Root objects of earlier trees, their indexes beside them. */
  readonly from: readonly string[]
}

export async function packTree(folder: string, { file, from }: TreeOptions, output: Output) {
  const old: StoredTree[] = []
  for (const one of from) old.push(await loadTree(one).catch((error: unknown) => refuseFrom(one, error)))
  const { digest, built, root, full, index, deltas } = await writeTree(readSource(folder), file, old).catch(refuseTree)
  for (const [at, tree] of old.entries())
    if (tree.digest === built.digest) output.warn(`--from ${from[at] ?? ''} is the same tree: there is nothing to move`)
  const store: readonly StoreFile[] = [root, full, index, ...deltas]
  return { file: root.file, digest, bytes: full.bytes, entries: built.entries, store }
}

export function treeFile(folder: string, app: string | undefined): string {
  return join(folder, `${app ?? 'app'}.tree`)
}

function refuseFrom(file: string, cause: unknown): never {
  const isTree = cause instanceof TreeError
  if (!isTree && errnoOf(cause) === undefined) throw cause
  throw new Failure(isTree ? 'failed' : 'io', `--from ${file} cannot be read: ${message(cause)}`, {
    cause,
    next: 'name the .tree that an earlier `aether pack --tree` wrote, with its .index beside it',
  })
}

function refuseTree(cause: unknown): never {
  if (!(cause instanceof TreeError)) throw cause
  throw new Failure('failed', cause.message, { cause, next: 'look into .aetherignore' })
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
