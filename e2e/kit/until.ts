// Waits by a condition, never by a guess of how long something takes.
import { setTimeout as sleep } from 'node:timers/promises'

// The kubelet writes a pod's annotations file when it syncs the pod. A change that comes while it is writing the file for
// an earlier one is written with the next sync, which may be 60 to 90 s away (syncFrequency and its jitter). So says its
// code (MarkVolumeAsMounted clears a remount asked for meanwhile); once a refresh in mode `file` took more than 60 s.
export const patienceMs = 150_000

/** Asks `look` until it answers something; what it throws counts as "not yet" and is told when the time is over. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined>,
  limitMs = patienceMs,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + limitMs
  let last: unknown
  for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 1.5, 500)) {
    try {
      const found = await look()
      if (found !== undefined && found !== null) return found
    } catch (error) {
      last = error
    }
    if (performance.now() > deadline) throw new Error(`not seen in ${limitMs / 1000} s: ${what}`, { cause: last })
    await sleep(pauseMs)
  }
}
