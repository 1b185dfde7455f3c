// One writer of the volume at a time (runtime/folder-lock.ts), in the folder `lock`.
import type { VolumeLayout } from '@aether/contract/layout'
import { refusal } from '@aether/contract/reasons'
import { type FolderLock, lockFolder } from '@aether/runtime/folder-lock'
import { toDiskError } from './disk-error.ts'

export type VolumeLock = FolderLock

/** Throws ReasonError `busy` where another process holds the volume, `disk_full` or `read_only` where it takes no socket. */
export async function lockVolume(layout: VolumeLayout): Promise<VolumeLock> {
  const lock = await lockFolder(layout.lock).catch(async (error: unknown) => {
    throw await toDiskError(error, layout.root)
  })
  if (lock !== undefined) return lock
  throw refusal('busy', 'locked', `another process works on ${layout.root}: two fetchers cannot share a volume`)
}
