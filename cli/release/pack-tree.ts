// The files of a tree, for any static server or bucket: the root, the full pack, its index, and deltas from releases before.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { StoredTree } from '@aether/artifact/delta-write'
import { readArchive } from '@aether/artifact/tree-archive'
import { TreeError } from '@aether/artifact/tree-error'
import { readSource, type SourceEntry } from '@aether/artifact/tree-source'
import { loadTree, type StoreFile, writeTree } from '@aether/artifact/tree-store'
import { ReasonError } from '@aether/contract/reasons'
import { errnoOf, Failure } from '../basics/failure.ts'
import type { Output } from '../basics/output.ts'
import { formatBytes } from '../basics/table.ts'

export interface TreeOptions {
  /** Of the root object; the others lie beside it. */
  readonly file: string
  /** Root objects of earlier trees, their indexes beside them. */
  readonly from: readonly string[]
}

/** As the agents' own, by default: what is larger they would refuse. */
const archiveLimits = {
  maxEntries: 200_000,
  maxDepth: 64,
  maxPathBytes: 3500,
  maxMetadataBytes: 256 * 1024 ** 2,
  maxUnpackedBytes: 4 * 1024 ** 3,
  maxUnpackRatio: 200,
  refuseCollisions: false,
}

export async function packTree(folder: string, options: TreeOptions, output: Output) {
  return writeStore(readSource(folder), options, output)
}

/** A tree of the files that an archive holds. */
export async function convertArchive(archive: string, options: TreeOptions, output: Output) {
  const scratch = await mkdtemp(join(tmpdir(), 'aether-pack-'))
  try {
    const source = await readArchive(archive, scratch, archiveLimits).catch((cause: unknown) => {
      if (!(cause instanceof TreeError || cause instanceof ReasonError)) throw cause
      throw new Failure('failed', `${archive}: ${cause.message}`, {
        cause,
        next: 'pods would refuse it too: pack it again',
      })
    })
    return await writeStore(source, options, output)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function writeStore(source: readonly SourceEntry[], { file, from }: TreeOptions, output: Output) {
  const old: StoredTree[] = []
  for (const one of from) old.push(await loadTree(one).catch((error: unknown) => refuseFrom(one, error)))
  const { digest, built, root, full, index, deltas } = await writeTree(source, file, old).catch(refuseTree)
  for (const [at, tree] of old.entries())
    if (tree.digest === built.digest) output.warn(`--from ${from[at] ?? ''} is the same tree: there is nothing to move`)
  const store: readonly StoreFile[] = [root, full, index, ...deltas]
  return { file: root.file, digest, bytes: full.bytes, entries: built.entries, store }
}

export function treeFile(folder: string, app: string | undefined): string {
  return join(folder, `${app ?? 'app'}.tree`)
}

export function sayStore(output: Output, store: readonly StoreFile[]): void {
  for (const { file, bytes } of store) output.line(`file       ${file}  ${formatBytes(bytes)}`)
}

export function storeRecord(store: readonly StoreFile[]) {
  return store.map(({ file, bytes }) => ({ name: basename(file), bytes }))
}

/** The name of an archive, without what says that it is one. */
export function nameOfArchive(archive: string): string {
  return basename(archive).replace(/(?:\.tar)?\.(?:gz|zst|tgz)$/, '')
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
