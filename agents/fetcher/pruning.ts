// Which releases leave the volume: the old ones that nobody uses. With a standby, one of them becomes the clone of what serves.
import type { Digest } from '@aether/contract/digest'
import type { VolumeLayout } from '@aether/contract/layout'
import { pruneReleases } from '@aether/release/prune'
import { readRecord } from '@aether/release/record'
import type { Log } from '@aether/runtime/log'
import { readSupervisorState } from './verdict.ts'

export interface PruningOptions {
  readonly layout: VolumeLayout
  readonly log: Log
  readonly supervised: boolean
  readonly runDir: string
  readonly keepReleases: number
  /** Whether an old release becomes the clone of the one that serves (release/standby.ts). */
  readonly standby: boolean
}

export interface Pruning {
  /** What the supervisor says that it uses, as far as releases are kept. */
  inUse(): Promise<readonly Digest[]>
  /** Never rejects: what cannot be pruned now is logged, and pruned with the next one. */
  prune(): Promise<void>
}

export function createPruning(options: PruningOptions): Pruning {
  const { layout, log, keepReleases } = options

  async function inUse(): Promise<readonly Digest[]> {
    const seen = options.supervised ? await readSupervisorState(options.runDir) : undefined
    return (seen?.inUse ?? []).slice(0, keepReleases)
  }

  async function recycle(digest: Digest, folder: string): Promise<boolean> {
    if (!options.standby || (await readRecord(layout, digest))?.tree === null) return false
    const { keepForStandby } = await import('@aether/release/background')
    return keepForStandby(layout, digest, folder)
  }

  return {
    inUse,
    async prune() {
      try {
        const removed = await pruneReleases(layout, keepReleases, await inUse(), recycle)
        if (removed.length > 0) log.debug({ removed }, 'pruned')
      } catch (error) {
        log.warn({ err: error }, 'old releases cannot be pruned')
      }
    },
  }
}
