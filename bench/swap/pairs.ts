// Throughput and latency beside the app alone: window by window in turns, so that each pair met the same machine. The
// ratio of one pair is worth little here; that of several has a middle and an interval.
import { setTimeout as sleep } from 'node:timers/promises'
import { requestsOf } from './client/counts.ts'
import type { Client } from './client.ts'
import type { Contestant } from './contestants.ts'
import { fullLoad } from './session.ts'

interface Window {
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface Pair {
  readonly ours: Window
  readonly direct: Window
}

/** Before the first pair, until V8 has compiled what is asked for again and again. */
const firstWarmMs = 2500
// Short and many: whoever else uses the machine spoils some pairs, and not the middle of all.
const warmMs = 300
const windowMs = 700
/** Without what takes its time, so that a window ends at once. */
const load = { ...fullLoad, slow: 0, uploads: 0, streams: 0 }

export async function measurePairs(
  client: Client,
  ours: Contestant,
  direct: Contestant,
  pairs: number,
): Promise<readonly Pair[]> {
  for (const one of [direct, ours]) await measureWindow(client, one, firstWarmMs, 0)
  const all: Pair[] = []
  for (let at = 0; at < pairs; at++) {
    // Each of them first in every other pair.
    const [first, second] = at % 2 === 0 ? [direct, ours] : [ours, direct]
    const windows = [await measureWindow(client, first), await measureWindow(client, second)] as const
    const [alone, own] = at % 2 === 0 ? windows : [windows[1], windows[0]]
    all.push({ ours: own, direct: alone })
  }
  return all
}

async function measureWindow(client: Client, { targets }: Contestant, warm = warmMs, ms = windowMs): Promise<Window> {
  client.start({ ...load, targets })
  await sleep(warm)
  await client.take()
  await sleep(ms)
  const tally = await client.take()
  await client.stop()
  return { requestsPerSecond: requestsOf(tally) / tally.seconds, p50Ms: tally.p50Ms, p99Ms: tally.p99Ms }
}
