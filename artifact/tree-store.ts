// The files that a store serves for one tree: the root object at the artifact's URL, and beside it the full pack, its index and
// deltas from other trees. Each appears whole or not at all, the root last.
import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Digest, digestFromHex } from '@aether/contract/digest'
import { type StoredTree, writeDelta } from './delta-write.ts'
import { createFullPack } from './full-pack.ts'
import { encodeIndex, packIndex, parseIndex } from './index-pack.ts'
import { deltaSuffix, fullSuffix, indexSuffix } from './store-names.ts'
import { type BuiltTree, buildTree } from './tree-build.ts'
import { digestOfObject } from './tree-digest.ts'
import { TreeError } from './tree-error.ts'
import type { SourceEntry } from './tree-source.ts'

export interface StoreFile {
  readonly file: string
  readonly bytes: number
}

export interface WrittenTree {
  readonly digest: Digest
  readonly built: BuiltTree
  readonly root: StoreFile
  readonly full: StoreFile
  readonly index: StoreFile
  /** In the order of `from`. */
  readonly deltas: readonly StoreFile[]
}

/** What we ourselves wrote may be as large as it is. */
const ownLimits = { maxEntries: 50_000_000, maxIndexBytes: 2 ** 31 - 1 }

/** Writes `file` and its siblings. Throws TreeError for what no tree can hold. */
export async function writeTree(
  source: readonly SourceEntry[],
  file: string,
  from: readonly StoredTree[] = [],
): Promise<WrittenTree> {
  await mkdir(dirname(file), { recursive: true })
  const made: { readonly temporary: string; readonly to: StoreFile }[] = []
  const make = async (path: string, write: (put: (bytes: Uint8Array) => Promise<void>) => Promise<void>) => {
    const temporary = `${path}.${randomUUID()}.tmp`
    let bytes = 0
    const handle = await open(temporary, 'wx')
    const at = made.push({ temporary, to: { file: path, bytes } }) - 1
    try {
      await write(async (part) => {
        await handle.writeFile(part)
        bytes += part.length
      })
    } finally {
      await handle.close()
    }
    const to = { file: path, bytes }
    made[at] = { temporary, to }
    return to
  }
  try {
    const result = await writeAll(source, file, from, make)
    for (const { temporary, to } of made) await rename(temporary, to.file)
    return result
  } finally {
    for (const { temporary } of made) await rm(temporary, { force: true })
  }
}

type Make = (path: string, write: (put: (bytes: Uint8Array) => Promise<void>) => Promise<void>) => Promise<StoreFile>

async function writeAll(source: readonly SourceEntry[], file: string, from: readonly StoredTree[], make: Make) {
  const packed: { built?: BuiltTree; index?: Buffer } = {}
  const full = await make(file + fullSuffix, async (put) => {
    const pack = createFullPack(put)
    const built = await buildTree(source, pack)
    if (built.files === 0) throw new TreeError('malformed', 'there is no file in it: pack the folder of an app')
    packed.built = built
    packed.index = await packIndex(encodeIndex(built.digest, built.objects, await pack.end()))
  })
  const { built, index } = packed
  if (built === undefined || index === undefined) throw new Error('the full pack was not written')
  const deltas = []
  for (const old of from)
    if (old.digest !== built.digest)
      deltas.push(await make(file + deltaSuffix(old.digest), (put) => writeDelta(old, built, built.contents, put)))
  const indexFile = await make(file + indexSuffix, (put) => put(index))
  const root = await make(file, (put) => put(built.objects.get(built.digest) ?? Buffer.alloc(0)))
  return { digest: digestFromHex(built.digest), built, root, full, index: indexFile, deltas }
}

/** The tree whose root object is `file`, by the index beside it. */
export async function loadTree(file: string): Promise<StoredTree> {
  const digest = digestOfObject(await readFile(file))
  const { objects } = await parseIndex(await readFile(file + indexSuffix), digest, ownLimits)
  return { digest, objects }
}
