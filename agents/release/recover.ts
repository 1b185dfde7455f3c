// What a start does first: makes the folders, and removes what a crash may have left.
import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '@aether/contract/digest'
import { digestOfReleaseName, releaseName, type VolumeLayout, workspaceNames } from '@aether/contract/layout'
import { ReasonError } from '@aether/contract/reasons'
import { readActivation, readCurrent } from './activate.ts'
import { toDiskError } from './disk-error.ts'
import { bootOf, readRecord } from './record.ts'
import { removeTree } from './remove-tree.ts'
import { drift, trustRelease } from './trust.ts'

/**
 * Idempotent. `current` is left on a trusted release (trust.ts) or on none: answers why it was taken away, a ReasonError
 * `drift`. Throws ReasonError `disk_full` or `read_only` where the volume cannot be used.
 */
export async function recoverVolume(layout: VolumeLayout): Promise<ReasonError | undefined> {
  const { workspace, releases, staging, complete, manifests, trees, standby } = layout
  try {
    for (const folder of [workspace, releases, staging, complete, manifests, trees, standby])
      await mkdir(folder, { recursive: true, mode: 0o775 })
    for (const name of await readdir(staging)) await remove(join(staging, name))
    for (const folder of [layout.root, workspace, complete, manifests, trees])
      for (const name of await readdir(folder))
        if (name.endsWith('.tmp') || name.startsWith('.current-')) await remove(join(folder, name))
    const [boot, current, last] = [await bootOf(layout), await readCurrent(layout), await readActivation(layout)]
    await recoverStandby(layout, current)
    const trusted = current === null ? undefined : await trustRelease(layout, current)
    for (const name of await readdir(releases)) {
      const digest = digestOfReleaseName(name)
      // A process may read the last one all the same.
      if (digest !== undefined && (digest === current || digest === last?.digest)) continue
      const record = digest && (await readRecord(layout, digest))
      // Whether it is whole is looked at when it is wanted; where nothing could tell, it goes. The digest of a tree tells.
      if (!record || (record.boot !== boot && record.manifest === null && record.tree === null))
        await remove(join(releases, name))
    }
    const kept = new Set(await readdir(releases))
    for (const name of await readdir(complete))
      if (!kept.has(name.replace(/\.json$/, ''))) await remove(join(complete, name))
    for (const folder of [manifests, trees])
      for (const name of await readdir(folder)) if (!kept.has(name)) await remove(join(folder, name))
    if (current === null || (trusted !== undefined && !(trusted instanceof ReasonError))) return undefined
    await remove(join(workspace, workspaceNames.current))
    return trusted ?? drift(current, 'missing', `there is no folder ${releaseName(current)}`)
  } catch (error) {
    throw await toDiskError(error, layout.root)
  }
}

/** A clone counts in the boot that made it; so this comes before what serves is trusted in another one. */
async function recoverStandby(layout: VolumeLayout, current: Digest | null): Promise<void> {
  const record = current === null ? undefined : await readRecord(layout, current)
  const isOfBoot = record?.boot === (await bootOf(layout))
  for (const name of await readdir(layout.standby)) {
    if (isOfBoot && digestOfReleaseName(name) === current) continue
    // By one rename, so that half of it is never taken for a clone.
    const away = join(layout.staging, name)
    await rename(join(layout.standby, name), away)
    await remove(away)
  }
}

function remove(path: string): Promise<void> {
  return removeTree(path)
}
