// What a start does first: makes the folders, and removes what a crash may have left.
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOfReleaseName, type VolumeLayout } from '@aether/contract/layout'
import { findRelease, readCurrent } from './activate.ts'
import { toDiskError } from './disk-error.ts'
import { removeTree } from './remove-tree.ts'

/** Idempotent. Throws ReasonError `disk_full` or `read_only` where the volume cannot be used. */
export async function recoverVolume(layout: VolumeLayout): Promise<void> {
  try {
    for (const folder of [layout.workspace, layout.releases, layout.staging, layout.complete])
      await mkdir(folder, { recursive: true, mode: 0o775 })
    for (const name of await readdir(layout.staging)) await remove(join(layout.staging, name))
    for (const folder of [layout.root, layout.workspace, layout.complete])
      for (const name of await readdir(folder))
        if (name.endsWith('.tmp') || name.startsWith('.current-')) await remove(join(folder, name))
    const current = await readCurrent(layout)
    for (const name of await readdir(layout.releases)) {
      const digest = digestOfReleaseName(name)
      if (digest === current) continue
      if (digest === undefined || !(await findRelease(layout, digest))) await remove(join(layout.releases, name))
    }
    for (const name of await readdir(layout.complete)) {
      const digest = digestOfReleaseName(name.replace(/\.json$/, ''))
      if (digest === undefined || !(await findRelease(layout, digest))) await remove(join(layout.complete, name))
    }
  } catch (error) {
    throw await toDiskError(error, layout.root)
  }
}

function remove(path: string): Promise<void> {
  return removeTree(path)
}
