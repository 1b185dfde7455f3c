// Room for a release: AETHER_WORKSPACE_MAX_BYTES, counted by ourselves, because statfs shows the node's disk and a pod over
// its emptyDir's sizeLimit is evicted; and AETHER_MIN_FREE_BYTES, which statfs does know. Old releases go first for both.
import { renameSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Digest } from '@aether/contract/digest'
import { releaseName, type VolumeLayout } from '@aether/contract/layout'
import { refusal } from '@aether/contract/reasons'
import { uniqueName } from '@aether/runtime/unique-name'
import { releasePath } from './activate.ts'
import { listReleases, neededReleases } from './prune.ts'
import { manifestPath, readRecord, recordPath, treePath } from './record.ts'
import { bytesTogether, type Share } from './shares.ts'

/** Room for one release that is being staged. */
export interface Room {
  /** Called before so many bytes are written. Removes old releases for them; throws ReasonError `disk_full` where that is not enough. */
  take(bytes: number): void
}

export interface RoomLimits {
  /** 0 is no limit of our own. */
  readonly maxWorkspaceBytes: number
  /** 0 is none. */
  readonly minFreeBytes: number
  readonly maxUnpackedBytes: number
}

/** So much is taken at most before statfs is asked again: others write to the volume too. */
const askBytes = 16 * 1024 * 1024
/** A file takes whole blocks, an inode and a name. */
const blockBytes = 4096

/** `inUse` are kept, as is what serves and what served before. Throws as `take` where there is no room for a byte. */
export async function openRoom(layout: VolumeLayout, limits: RoomLimits, inUse: readonly Digest[]): Promise<Room> {
  const { maxWorkspaceBytes, minFreeBytes } = limits
  if (maxWorkspaceBytes === 0 && minFreeBytes === 0) return { take() {} }
  const kept: Share[] = []
  const old: Share[] = []
  // On most disks there is room for any release, and none of the old ones need be looked at.
  if (maxWorkspaceBytes > 0 || spareBytes() < limits.maxUnpackedBytes) {
    const needed = await neededReleases(layout, inUse)
    for (const digest of await listReleases(layout)) {
      const record = await readRecord(layout, digest)
      const share = { digest, bytes: record?.bytes ?? 0, ancestors: record?.tree?.ancestors ?? [] }
      if (needed.has(digest)) kept.push(share)
      else old.push(share)
    }
  }
  const keptBytes = bytesTogether(kept)
  let allBytes = bytesTogether([...kept, ...old])
  let staged = 0
  let known = 0 // bytes that may be taken before statfs is asked

  function removeOldest(): boolean {
    const oldest = old.shift()
    if (oldest === undefined) return false
    removeNow(layout, oldest.digest)
    allBytes = bytesTogether([...kept, ...old])
    return true
  }
  function keepBudget(): void {
    // Sizes come file by file: what went for the files before stays gone, but no more goes for nothing.
    if (keptBytes + staged > maxWorkspaceBytes)
      throw refusal(
        'disk_full',
        'budget',
        `the release has ${staged} bytes or more, and beside the ${keptBytes} bytes of those that serve or may be read it would exceed the ${maxWorkspaceBytes} bytes of AETHER_WORKSPACE_MAX_BYTES: raise it, and the volume's sizeLimit with it`,
      )
    while (allBytes + staged > maxWorkspaceBytes) if (!removeOldest()) return
  }
  function spareBytes(): number {
    const { bavail, bsize } = statfsSync(layout.root)
    return bavail * bsize - minFreeBytes
  }
  function keepFloor(bytes: number): void {
    known -= bytes + blockBytes
    while (known < 0) {
      const spare = spareBytes()
      known = Math.min(spare - bytes - blockBytes, askBytes)
      if (known < 0 && !removeOldest())
        throw refusal(
          'disk_full',
          'floor',
          `the volume of ${layout.root} has ${spare + minFreeBytes} bytes left, and beside the ${bytes} of the next file ${minFreeBytes} stay free (AETHER_MIN_FREE_BYTES): give it more, or keep fewer releases`,
        )
    }
  }

  const room: Room = {
    take(bytes) {
      staged += bytes
      if (maxWorkspaceBytes > 0) keepBudget()
      if (minFreeBytes > 0) keepFloor(bytes)
    },
  }
  room.take(0)
  return room
}

// As prune.ts does it, but at once: the bytes must be gone before the next are written.
function removeNow(layout: VolumeLayout, digest: Digest): void {
  const away = join(layout.staging, `${releaseName(digest)}-${uniqueName()}`)
  renameSync(releasePath(layout, digest), away)
  rmSync(recordPath(layout, digest), { force: true })
  rmSync(manifestPath(layout, digest), { force: true })
  rmSync(treePath(layout, digest), { force: true })
  rmSync(away, { recursive: true, force: true })
}
