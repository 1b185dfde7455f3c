// Pauses for work that reads much, so that it leaves the event loop, and where it may take its time the disk, to others.
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'

export interface Slices {
  /** Called after each bit of work, with its bytes. Rejects once `signal` aborts. */
  spent(bytes: number): Promise<void> | undefined
}

/** Longest time on the event loop without a turn for others. */
const sliceMs = 8
const mostLateMs = 100

/** `bytesPerSec` Infinity is as fast as it goes. */
export function createSlices(bytesPerSec: number, signal: AbortSignal): Slices {
  let startedAt = performance.now()
  let total = 0
  let sliceAt = startedAt
  return {
    spent(bytes) {
      total += bytes
      const now = performance.now()
      const earlyMs = startedAt + (total * 1000) / bytesPerSec - now
      // What a slow disk left over is not made up for by a rush.
      if (earlyMs < -mostLateMs) startedAt -= earlyMs + mostLateMs
      if (earlyMs < 1 && now - sliceAt < sliceMs && !signal.aborted) return undefined
      return pause(earlyMs)
    },
  }

  async function pause(ms: number): Promise<void> {
    if (ms < 1) await turn(undefined, { signal })
    else await sleep(ms, undefined, { signal })
    sliceAt = performance.now()
  }
}
