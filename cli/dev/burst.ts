// Many changes at once as one: a burst ends when nothing has come for a while, and at the latest after a time, so that
// something that writes without end cannot keep a save back.
import { setTimeout as sleep } from 'node:timers/promises'

export interface Burst {
  touch(): void
  /** Takes the burst that ended, if one did: when it began. */
  take(): number | undefined
  /** Aborted where a burst has ended that was not taken yet. */
  due(): AbortSignal
  close(): void
}

const quietMs = 30
const longestMs = 1_000
const foreverMs = 2 ** 31 - 1

export function createBurst(): Burst {
  let due = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let first: number | undefined
  let ended: number | undefined
  const end = () => {
    ended ??= first
    first = undefined
    due.abort()
  }
  return {
    touch() {
      const now = performance.now()
      first ??= now
      clearTimeout(timer)
      timer = setTimeout(end, Math.max(0, Math.min(quietMs, first + longestMs - now)))
    },
    take() {
      const since = ended
      ended = undefined
      if (due.signal.aborted) due = new AbortController()
      return since
    },
    due: () => due.signal,
    close: () => clearTimeout(timer),
  }
}

/** Resolves when `due` is aborted, or after `mostMs`; throws where `signal` is. */
export async function untilDue(due: AbortSignal, signal: AbortSignal, mostMs = foreverMs): Promise<void> {
  await sleep(mostMs, undefined, { signal: AbortSignal.any([due, signal]) }).catch(() => {})
  signal.throwIfAborted()
}
