// The completion record of a release: that its bytes were verified, by which boot of the kernel, and what they are.
import { readFile, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '@aether/contract/digest'
import { parseFields } from '@aether/contract/json'
import { releaseName, type VolumeLayout } from '@aether/contract/layout'
import { writeFileAtomic } from '@aether/runtime/atomic-file'
import { uniqueName } from '@aether/runtime/unique-name'

export interface CompletionRecord {
  readonly digest: Digest
  readonly artifactBytes: number
  readonly files: number
  readonly bytes: number
  /** Id of the boot whose page cache has the bytes as they were verified; '' where they are known to be wrong. */
  readonly boot: string
  /** sha256 of the manifest; null until there is one. */
  readonly manifest: string | null
  /** It was put right in its place, and is still to be activated anew: a process may run what it was before. */
  readonly mended: boolean
}

export function recordPath(layout: VolumeLayout, digest: Digest): string {
  return join(layout.complete, `${releaseName(digest)}.json`)
}

export function manifestPath(layout: VolumeLayout, digest: Digest): string {
  return join(layout.manifests, releaseName(digest))
}

/** `undefined` where there is none that can be read; one of an older version is of no boot. */
export async function readRecord(layout: VolumeLayout, digest: Digest): Promise<CompletionRecord | undefined> {
  try {
    const fields = parseFields(await readFile(recordPath(layout, digest), 'utf8'), 'completion record')
    if (fields.text('digest') !== digest) return undefined
    return {
      digest,
      artifactBytes: fields.count('artifactBytes'),
      files: fields.count('files'),
      bytes: fields.count('bytes'),
      boot: fields.textIfAny('boot') ?? '',
      manifest: fields.textIfAny('manifest'),
      mended: fields.isTrue('mended'),
    }
  } catch {
    return undefined
  }
}

export function writeRecord(layout: VolumeLayout, record: CompletionRecord): Promise<void> {
  return writeFileAtomic(recordPath(layout, record.digest), `${JSON.stringify(record)}\n`)
}

/** Writes a record anew; its time stays that of the completion, by which old releases are pruned. */
export async function amendRecord(layout: VolumeLayout, record: CompletionRecord): Promise<void> {
  const { atime, mtime } = await stat(recordPath(layout, record.digest))
  await writeRecord(layout, record)
  await utimes(recordPath(layout, record.digest), atime, mtime)
}

/** From now on the release counts as not on disk, over restarts too, until it is brought again. */
export async function distrust(layout: VolumeLayout, digest: Digest): Promise<void> {
  const record = await readRecord(layout, digest)
  if (record !== undefined) await amendRecord(layout, { ...record, boot: '', manifest: null })
  await rm(manifestPath(layout, digest), { force: true })
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
