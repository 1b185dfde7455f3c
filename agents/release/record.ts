// The completion record of a release: that its bytes were verified, by which boot of the kernel, and what they are.
import { readFileSync } from 'node:fs'
import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, parseDigest } from '@aether/contract/digest'
import { isObject, parseFields } from '@aether/contract/json'
import { digestOfReleaseName, releaseName, type VolumeLayout } from '@aether/contract/layout'
import { replaceFile, writeFileAtomic } from '@aether/runtime/atomic-file'
import { uniqueName } from '@aether/runtime/unique-name'
import type { Ancestor } from './shares.ts'

export interface TreeRecord {
  /** Files, links and folders. */
  readonly entries: number
  /** The releases that it was made from, the last one first: their unchanged files are its own too. */
  readonly ancestors: readonly Ancestor[]
}

export interface CompletionRecord {
  readonly digest: Digest
  readonly artifactBytes: number
  readonly files: number
  readonly bytes: number
  /** Id of the boot whose page cache has the bytes as they were verified; '' where they are known to be wrong. */
  readonly boot: string
  /** sha256 of the manifest; null until there is one. */
  readonly manifest: string | null
  /** Where it is a tree; null for an archive, which shares no file with another release. */
  readonly tree: TreeRecord | null
  /** It was put right in its place, and is still to be activated anew: a process may run what it was before. */
  readonly mended: boolean
}

export function recordPath(layout: VolumeLayout, digest: Digest): string {
  return join(layout.complete, `${releaseName(digest)}.json`)
}

export function manifestPath(layout: VolumeLayout, digest: Digest): string {
  return join(layout.manifests, releaseName(digest))
}

/** Where the folder objects of a tree are kept (tree-store.ts). */
export function treePath(layout: VolumeLayout, digest: Digest): string {
  return join(layout.trees, releaseName(digest))
}

/** `undefined` where there is none that can be read; one of an older version is of no boot. */
// A promise though the file is read at once: the way through the thread pool costs more than so few bytes.
// oxlint-disable-next-line require-await
export async function readRecord(layout: VolumeLayout, digest: Digest): Promise<CompletionRecord | undefined> {
  try {
    const fields = parseFields(readFileSync(recordPath(layout, digest), 'utf8'), 'completion record')
    if (fields.text('digest') !== digest) return undefined
    return {
      digest,
      artifactBytes: fields.count('artifactBytes'),
      files: fields.count('files'),
      bytes: fields.count('bytes'),
      boot: fields.textIfAny('boot') ?? '',
      manifest: fields.textIfAny('manifest'),
      tree: parseTree(fields.objectIfAny('tree')),
      mended: fields.isTrue('mended'),
    }
  } catch {
    return undefined
  }
}

function parseTree(found: Readonly<Record<string, unknown>> | null): TreeRecord | null {
  if (found === null) return null
  const { entries, ancestors } = found
  if (typeof entries !== 'number' || !Array.isArray(ancestors)) throw new Error('tree: entries and ancestors')
  return { entries, ancestors: ancestors.map(parseAncestor) }
}

function parseAncestor(found: unknown): Ancestor {
  if (!isObject(found)) throw new Error('tree: ancestors')
  const { digest, bytes, freshBytes } = found
  if (typeof digest !== 'string' || typeof bytes !== 'number' || typeof freshBytes !== 'number')
    throw new Error('tree: ancestors')
  return { digest: parseDigest(digest, 'tree: ancestors'), bytes, freshBytes }
}

/** Its name is the caller's to sync, with the folder `complete`. */
export function placeRecord(layout: VolumeLayout, record: CompletionRecord): Promise<void> {
  return replaceFile(recordPath(layout, record.digest), textOf(record))
}

function textOf(record: CompletionRecord): string {
  return `${JSON.stringify(record)}\n`
}

/** Writes a record anew; its time stays that of the completion, by which old releases are pruned. */
export async function amendRecord(layout: VolumeLayout, record: CompletionRecord): Promise<void> {
  const { atime, mtime } = await stat(recordPath(layout, record.digest))
  await writeFileAtomic(recordPath(layout, record.digest), textOf(record))
  await utimes(recordPath(layout, record.digest), atime, mtime)
}

/** From now on the release counts as not on disk, over restarts too, until it is brought again. Of a tree, the others that may have its inodes too, until they were read. */
export async function distrust(layout: VolumeLayout, digest: Digest): Promise<void> {
  const record = await readRecord(layout, digest)
  if (record !== undefined) await amendRecord(layout, { ...record, boot: '', manifest: null })
  await rm(manifestPath(layout, digest), { force: true })
  if (!record?.tree) return
  for (const name of await readdir(layout.complete)) {
    const other = digestOfReleaseName(name.replace(/\.json$/, ''))
    const shared = other === undefined ? undefined : await readRecord(layout, other)
    if (shared?.tree) await amendRecord(layout, { ...shared, boot: '' })
  }
}

const boots = new Map<string, Promise<string>>()

/** The boot that this process runs in. A kernel that does not say has a new one for each process: what is there is verified at each start. */
export function bootOf({ bootId }: Pick<VolumeLayout, 'bootId'>): Promise<string> {
  const known = boots.get(bootId)
  if (known !== undefined) return known
  const asked = readFile(bootId, 'utf8').then(
    (text) => text.trim() || uniqueName(),
    () => uniqueName(),
  )
  boots.set(bootId, asked)
  return asked
}
