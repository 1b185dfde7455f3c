// Looks after the release that serves while there is nothing to refresh: makes its manifest once it has come up, and from
// time to time holds the files against it. All of it slowly, and ended at once by whatever comes.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Digest } from '@aether/contract/digest'
import type { VolumeLayout } from '@aether/contract/layout'
import type { ReasonError } from '@aether/contract/reasons'
import { readCurrent } from '@aether/release/activate'
import { amendRecord, bootOf, distrust, readRecord } from '@aether/release/record'
import { createSlices, type Slices } from '@aether/release/slices'
import { drift, findAnyDifference } from '@aether/release/trust'
import type { Log } from '@aether/runtime/log'
import type { Mailbox } from './mailbox.ts'

export interface UpkeepOptions {
  readonly layout: VolumeLayout
  /** Between two checks, give or take a tenth; 0 is none. */
  readonly driftIntervalMs: number
  readonly driftBytesPerSec: number
  /** Whether the next release is prepared for (release/standby.ts). */
  readonly standby: boolean
  readonly log: Log
}

export interface Upkeep {
  /** Works until `signal` aborts, or until the release is found to have drifted: a ReasonError `drift`; it is trusted no longer. */
  watch(signal: AbortSignal): Promise<ReasonError | undefined>
}

/** After an outcome the app has the machine for itself. */
const quietMs = 1000
const againMs = 60_000
const longestSleepMs = 2 ** 31 - 1

export function createUpkeep({ layout, driftIntervalMs, driftBytesPerSec, standby, log }: UpkeepOptions): Upkeep {
  let working: Promise<unknown> = Promise.resolve()
  let dueAt = nextDue()
  /** For a release that is a tree. */
  let isPrepared = false

  function nextDue(): number {
    const intervalMs = driftIntervalMs === 0 ? Number.POSITIVE_INFINITY : driftIntervalMs
    return performance.now() + intervalMs * (0.9 + Math.random() / 5)
  }

  async function work(signal: AbortSignal): Promise<ReasonError | undefined> {
    try {
      await prepare(signal)
      await sleep(quietMs, undefined, { signal })
      for (;;) {
        const pauseMs = await look(signal).catch((error: unknown) => {
          signal.throwIfAborted()
          log.warn({ err: error }, 'the release that serves cannot be looked after; it is tried again in a minute')
          return againMs
        })
        if (pauseMs instanceof Error) return pauseMs
        await sleep(Math.min(Math.max(quietMs, pauseMs), longestSleepMs), undefined, { signal })
      }
    } catch {
      return undefined
    }
  }

  /** Without it the next refresh takes longer, and that is all. */
  async function prepare(signal: AbortSignal): Promise<void> {
    const live = await readCurrent(layout)
    const record = live === null ? undefined : await readRecord(layout, live)
    if (!record?.tree && !isPrepared) return
    isPrepared = Boolean(record?.tree)
    const { prepareNext } = await import('@aether/release/background')
    await prepareNext(layout, standby, signal).catch((error: unknown) => {
      signal.throwIfAborted()
      log.warn({ err: error }, 'no clone of the release that serves can be kept ready; the next refresh takes longer')
    })
  }

  /** Answers how long to wait before the next look, or what was found. */
  async function look(signal: AbortSignal): Promise<ReasonError | number> {
    const live = await readCurrent(layout)
    if (live === null) return longestSleepMs
    const record = await readRecord(layout, live)
    const isTrusted = record?.boot === (await bootOf(layout))
    const slices = createSlices(driftBytesPerSec, signal)
    if (isTrusted && record.tree !== null) {
      await lookAfterTree(live, slices)
      await prepare(signal)
    } else if (isTrusted && record.manifest === null) {
      const { writeManifest } = await import('@aether/release/manifest')
      const manifest = await writeManifest(layout, live, slices)
      signal.throwIfAborted()
      await amendRecord(layout, { ...record, manifest })
      log.debug({ digest: live }, 'the manifest is made')
      dueAt = nextDue()
    }
    const leftMs = dueAt - performance.now()
    if (leftMs > 0) return leftMs
    dueAt = nextDue()
    if (!isTrusted || (record.manifest === null && record.tree === null))
      return drift(live, 'unverified', 'it could not be brought again yet')
    const difference = await findAnyDifference(layout, record, slices).catch((cause: unknown) => {
      signal.throwIfAborted()
      return drift(live, 'unverified', 'it cannot be read whole, or its manifest cannot', { cause })
    })
    if (difference === undefined) return 0
    // A clone has the same inodes, the wrong one among them.
    if (record.tree !== null) await (await import('@aether/release/standby')).dropStandby(layout)
    await distrust(layout, live)
    if (difference instanceof Error) return difference
    return drift(live, difference.detail, `first at ${JSON.stringify(difference.path)}`)
  }

  /** Of others like it, after it was mended; and of what a kill lost of it. */
  async function lookAfterTree(digest: Digest, slices: Slices): Promise<void> {
    const { mendTrees } = await import('@aether/release/background')
    await mendTrees(layout, digest, slices)
  }

  return {
    async watch(signal) {
      await working
      const mine = work(signal)
      working = mine
      return mine
    },
  }
}

/** Takes the next delivery, and looks after the release meanwhile; what is found wrong with it ends the wait. */
export async function takeWatching<T>(
  mailbox: Mailbox<T>,
  waitMs: number,
  upkeep: Upkeep,
  stop: AbortSignal,
): Promise<{ readonly taken: T | undefined; readonly drifted: ReasonError | undefined }> {
  const over = new AbortController()
  const watching = upkeep.watch(AbortSignal.any([stop, mailbox.arrival(), over.signal]))
  void watching.then((found) => found !== undefined && over.abort())
  const taken = await mailbox.take(waitMs, AbortSignal.any([stop, over.signal]))
  over.abort()
  // A delivery waits for nothing.
  return taken === undefined ? { taken, drifted: await watching } : { taken, drifted: undefined }
}
