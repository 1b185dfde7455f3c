// Which releases may be used: those with a completion record of this boot. After a power loss a folder can be there without
// its bytes, so one of another boot is verified again by its manifest, once; without one it counts as not on disk.
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import type { Digest } from '@aether/contract/digest'
import { releaseName, type VolumeLayout } from '@aether/contract/layout'
import { type Detail, type ReasonError, refusal } from '@aether/contract/reasons'
import type { Difference } from './manifest.ts'
import { amendRecord, bootOf, type CompletionRecord, readRecord } from './record.ts'
import { createSlices, type Slices } from './slices.ts'

const never = new AbortController().signal

/**
 * Its record, or a ReasonError `drift` that says why it is not trusted; `undefined` where it is not there at all. Rejects where
 * `signal` ends the reading.
 */
export async function trustRelease(
  layout: VolumeLayout,
  digest: Digest,
  signal = never,
): Promise<CompletionRecord | ReasonError | undefined> {
  const record = await readRecord(layout, digest)
  if (!isFolder(join(layout.releases, releaseName(digest)))) return undefined
  const boot = await bootOf(layout)
  if (record?.boot === boot) return record
  if (record === undefined || (record.manifest === null && record.tree === null))
    return drift(digest, 'unverified', 'nothing that is still known says that it is whole')
  try {
    // The app waits for it, so it goes as fast as it can.
    const slices = createSlices(Number.POSITIVE_INFINITY, signal)
    const difference = await findAnyDifference(layout, record, slices)
    if (difference !== undefined) return drift(digest, difference.detail, `first at ${JSON.stringify(difference.path)}`)
  } catch (cause) {
    signal.throwIfAborted()
    return drift(digest, 'unverified', 'it cannot be read whole, or its manifest cannot', { cause })
  }
  const trusted = { ...record, boot }
  // Where that cannot be written, it is verified once more.
  await amendRecord(layout, trusted).catch(() => undefined)
  return trusted
}

/** Reads a release and holds it against what it was: a tree against its digest, any other against its manifest. */
export async function findAnyDifference(
  layout: VolumeLayout,
  { digest, tree, manifest }: CompletionRecord,
  slices: Slices,
): Promise<Difference | undefined> {
  if (tree === null && manifest === null) throw new Error('there is no manifest')
  if (manifest !== null) {
    const { findDifference } = await import('./manifest.ts')
    return findDifference(layout, digest, manifest, slices)
  }
  const { findTreeDifference } = await import('./tree-check.ts')
  return findTreeDifference(layout, digest, slices)
}

/** The ReasonError of a release that is not what was verified. */
export function drift(digest: Digest, detail: Detail<'drift'>, how: string, options?: ErrorOptions): ReasonError {
  return refusal('drift', detail, `the release ${digest} on disk is not what was verified (${detail}): ${how}`, options)
}

function isFolder(path: string): boolean {
  try {
    return lstatSync(path).isDirectory()
  } catch {
    return false
  }
}
