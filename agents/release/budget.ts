// AETHER_WORKSPACE_MAX_BYTES: what the releases may take, counted by ourselves, because statfs shows the node's disk and a
// pod over its emptyDir's sizeLimit is evicted.
import { randomUUID } from 'node:crypto'
import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Digest } from '@aether/contract/digest'
import { releaseName, type VolumeLayout } from '@aether/contract/layout'
import { refusal } from '@aether/contract/reasons'
import { findRelease, recordPath, releasePath } from './activate.ts'
import { listReleases, neededReleases } from './prune.ts'

/** Room for one release that is being staged. */
export interface Room {
  /** Called before so many bytes are written. Removes old releases for them; throws ReasonError `disk_full` where that is not enough. */
  take(bytes: number): void
}

/** `maxBytes` 0 is no limit of our own; `inUse` are kept, as is what serves and what served before. */
export async function openRoom(layout: VolumeLayout, maxBytes: number, inUse: readonly Digest[]): Promise<Room> {
  if (maxBytes === 0) return { take() {} }
  const needed = await neededReleases(layout, inUse)
  const old: { readonly digest: Digest; readonly bytes: number }[] = []
  let kept = 0
  for (const digest of await listReleases(layout)) {
    const bytes = (await findRelease(layout, digest))?.bytes ?? 0
    if (needed.has(digest)) kept += bytes
    else old.push({ digest, bytes })
  }
  let free = maxBytes - kept - old.reduce((sum, { bytes }) => sum + bytes, 0)
  let staged = 0
  return {
    take(bytes) {
      staged += bytes
      // Sizes come file by file: what went for the files before stays gone, but no more goes for nothing.
      if (kept + staged > maxBytes)
        throw refusal(
          'disk_full',
          'budget',
          `the release has ${staged} bytes or more, and beside the ${kept} bytes of those that serve or may be read it would exceed the ${maxBytes} bytes of AETHER_WORKSPACE_MAX_BYTES: raise it, and the volume's sizeLimit with it`,
        )
      for (free -= bytes; free < 0; ) {
        const oldest = old.shift()
        if (oldest === undefined) return
        removeNow(layout, oldest.digest)
        free += oldest.bytes
      }
    },
  }
}

// As prune.ts does it, but at once: the bytes must be gone before the next are written.
function removeNow(layout: VolumeLayout, digest: Digest): void {
  const away = join(layout.staging, `${releaseName(digest)}-${randomUUID()}`)
  renameSync(releasePath(layout, digest), away)
  rmSync(recordPath(layout, digest), { force: true })
  rmSync(away, { recursive: true, force: true })
}
