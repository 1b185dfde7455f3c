// Holds the last value only: a later one takes the place of an earlier one that nobody took.
export interface Mailbox<T> {
  /** False where it says the same as the last put, which changes nothing: a source that lists afresh is no news. */
  put(value: T): boolean
  /** The next value, or `undefined` after `waitMs` or when `signal` aborts. */
  take(waitMs: number, signal: AbortSignal): Promise<T | undefined>
  /** Aborts when there is something to take. */
  arrival(): AbortSignal
}

export function createMailbox<T>(isSame: (a: T, b: T) => boolean): Mailbox<T> {
  let last: { readonly value: T } | undefined
  let held: { readonly value: T } | undefined
  let arrived = new AbortController()
  return {
    put(value) {
      if (last !== undefined && isSame(last.value, value)) return false
      last = { value }
      held = last
      arrived.abort()
      return true
    },
    arrival: () => arrived.signal,
    async take(waitMs, signal) {
      if (held === undefined && !signal.aborted) await waitFor(arrived.signal, signal, waitMs)
      const value = held?.value
      held = undefined
      arrived = new AbortController()
      return value
    },
  }
}

function waitFor(arrival: AbortSignal, stop: AbortSignal, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    // Infinity means no timer.
    const timer = Number.isFinite(waitMs) ? setTimeout(done, waitMs) : undefined
    arrival.addEventListener('abort', done, { once: true })
    stop.addEventListener('abort', done, { once: true })
    function done() {
      clearTimeout(timer)
      arrival.removeEventListener('abort', done)
      stop.removeEventListener('abort', done)
      resolve()
    }
  })
}
