// Stage 5. Keeps the last releases and removes the others; never one that serves or that a process may still read.
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '@aether/contract/digest'
import { digestOfReleaseName, releaseName, type VolumeLayout } from '@aether/contract/layout'
import { uniqueName } from '@aether/runtime/unique-name'
import { readActivation, readCurrent, recordPath, releasePath } from './activate.ts'
import { manifestPath, treePath } from './record.ts'
import { removeTree } from './remove-tree.ts'

/** Takes an old release that was moved to staging, to use its files; false leaves it to be removed. Before its tree's file is gone. */
export type Recycle = (digest: Digest, folder: string) => Promise<boolean>

/** Removes all but `keep` releases, the oldest first; `inUse` come on top. Answers what it removed. */
export async function pruneReleases(
  layout: VolumeLayout,
  keep: number,
  inUse: readonly Digest[],
  recycle?: Recycle,
): Promise<readonly Digest[]> {
  const needed = await neededReleases(layout, inUse)
  const found = await listReleases(layout)
  const removed: Digest[] = []
  let surplus = found.length - keep
  for (const digest of found) {
    if (surplus <= 0) break
    if (needed.has(digest)) continue
    await removeRelease(layout, digest, recycle)
    removed.push(digest)
    surplus--
  }
  return removed
}

/** What serves, what served before, and what is in use. */
export async function neededReleases(layout: VolumeLayout, inUse: readonly Digest[]): Promise<ReadonlySet<unknown>> {
  const activation = await readActivation(layout)
  return new Set([...inUse, await readCurrent(layout), activation?.digest, activation?.previous])
}

/** What is on disk, the least recently completed first. */
export async function listReleases(layout: VolumeLayout): Promise<readonly Digest[]> {
  const rows: { digest: Digest; at: number }[] = []
  for (const name of await readdir(layout.releases)) {
    const digest = digestOfReleaseName(name)
    if (digest === undefined) continue
    const record = await stat(recordPath(layout, digest)).catch(() => undefined)
    rows.push({ digest, at: record?.mtimeMs ?? 0 })
  }
  return rows.toSorted((a, b) => a.at - b.at).map((row) => row.digest)
}

// Out of sight first, by one rename, so that nobody sees half a release; the record last, so that it is never alone trusted.
async function removeRelease(layout: VolumeLayout, digest: Digest, recycle: Recycle | undefined): Promise<void> {
  const away = join(layout.staging, `${releaseName(digest)}-${uniqueName()}`)
  await rename(releasePath(layout, digest), away)
  const isUsed = (await recycle?.(digest, away)) ?? false
  await rm(recordPath(layout, digest), { force: true })
  await rm(manifestPath(layout, digest), { force: true })
  await rm(treePath(layout, digest), { force: true })
  if (!isUsed) await removeTree(away)
}
