// For tests: folders as trees, the packs that a client sends, and what a pod makes of what it is given.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { createZstdDecompress } from 'node:zlib'
import { createDeltaReader, deltaHeadBytes, parseDeltaHead } from '@aether/artifact/delta-pack'
import { deltaContent, piecesOf, type StoredTree } from '@aether/artifact/delta-write'
import { writeObjectPack } from '@aether/artifact/object-pack'
import { type Planted, plant, walkLimits } from '@aether/artifact/test-trees'
import { type BuiltTree, buildTree } from '@aether/artifact/tree-build'
import { readSource } from '@aether/artifact/tree-source'
import { objectPackType } from '@aether/contract/control-api'
import type { Answered, Asked } from './test-kit.ts'

export type Ask = (method: 'GET' | 'POST' | 'PUT', path: string, asked?: Asked) => Promise<Answered>

const nothing: StoredTree = { digest: '', objects: new Map<string, Buffer>(), contents: new Map<string, never>() }

let folder: string | undefined

function temporary(): string {
  const path = mkdtempSync(join(tmpdir(), 'aether-tree-'))
  process.once('exit', () => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A tree of files, by path and content, or of other things; it reads them from a folder until the process ends. */
export async function treeOf(files: Readonly<Record<string, string | Buffer | Planted>>): Promise<BuiltTree> {
  folder ??= temporary()
  const root = mkdtempSync(join(folder, 'tree-'))
  for (const [path, item] of Object.entries(files))
    plant(root, path, typeof item === 'string' || Buffer.isBuffer(item) ? { kind: 'file', content: item } : item)
  return buildTree(readSource(root))
}

export function digestsOf({ objects, contents }: BuiltTree): readonly string[] {
  return [...objects.keys(), ...contents.keys()]
}

export interface PackChoice {
  readonly from?: StoredTree
  readonly only?: ReadonlySet<string>
  /** A file that is sent with other bytes. */
  readonly lie?: string
}

/** What `tree` has and `from` has not; or those of it that are in `only`. */
export async function packOf(tree: BuiltTree, { from = nothing, only, lie }: PackChoice = {}): Promise<Buffer> {
  const all = deltaContent(from, tree)
  const content = {
    objects: all.objects.filter(([digest]) => only?.has(digest) ?? true),
    files: new Map([...all.files].filter(([digest]) => only?.has(digest) ?? true)),
  }
  const parts: Uint8Array[] = []
  await writeObjectPack(
    content,
    (digest, size) => (digest === lie ? [Buffer.alloc(size, 'z')] : piecesOf(tree.contents.get(digest), digest, size)),
    async (part) => void parts.push(Buffer.from(part)),
  )
  return Buffer.concat(parts)
}

export function sendPack(ask: Ask, app: string, pack: Buffer, asked: Asked = {}): Promise<Answered> {
  const headers = { 'content-type': objectPackType, ...asked.headers }
  return ask('POST', `/apps/${app}/objects`, { as: 'uploader', ...asked, body: pack, headers })
}

export function register(ask: Ask, app: string, { digest }: BuiltTree, body: object = {}): Promise<Answered> {
  return ask('PUT', `/apps/${app}/trees/sha256:${digest}`, { as: 'uploader', body })
}

/** The one that a pack of all has at its end. */
export function lastFileOf(tree: BuiltTree): string {
  return [...deltaContent(nothing, tree).files.keys()].at(-1) ?? ''
}

/** Everything, and the answer of the registration. */
export async function publish(ask: Ask, app: string, tree: BuiltTree, from?: BuiltTree): Promise<Answered> {
  await sendPack(ask, app, await packOf(tree, from === undefined ? {} : { from }))
  return register(ask, app, tree)
}

/** The records of a delta, each proven as a pod proves it. */
export async function readDelta(bytes: Buffer, from: BuiltTree, to: string) {
  const head = parseDeltaHead(bytes)
  if (head.from !== from.digest || head.to !== to) throw new Error('it is the delta of other trees')
  const objects = new Map<string, Buffer>()
  const files = new Set<string>()
  const reader = createDeltaReader(
    to,
    (digest) => from.objects.has(digest),
    {
      object: (digest, one) => void objects.set(digest, one),
      fileBegin: () => {},
      fileData: () => {},
      fileEnd: (digest) => void files.add(digest),
    },
    { maxEntries: walkLimits.maxEntries, maxBytes: walkLimits.maxBytes },
  )
  reader.write(await buffer(Readable.from([bytes.subarray(deltaHeadBytes)]).pipe(createZstdDecompress())))
  reader.finish()
  return { objects, files }
}
