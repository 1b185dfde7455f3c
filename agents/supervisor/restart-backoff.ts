// When an app that ended by itself is started again: at once, and later each time that it does not last.
export interface Backoff {
  /** A start is due `leftMs` from now on. */
  plan(): void
  isDue(): boolean
  /** At least 0; a day where none is planned. */
  leftMs(): number
  /** The planned start is being made. */
  begin(): void
  /** It runs: what was planned is not due any more. */
  started(): void
}

const firstMs = 100
const longestMs = 10_000
/** A process that ran for this long starts the count anew. */
const steadyMs = 60_000
const never = 86_400_000

export function createBackoff(): Backoff {
  let at: number | undefined
  let quick = 0
  let startedAt = 0
  return {
    plan() {
      if (performance.now() - startedAt > steadyMs) quick = 0
      at = performance.now() + (quick === 0 ? 0 : Math.min(longestMs, firstMs * 2 ** (quick - 1)))
      quick++
    },
    isDue: () => at !== undefined && performance.now() >= at,
    leftMs: () => (at === undefined ? never : Math.max(0, Math.round(at - performance.now()))),
    begin() {
      at = undefined
    },
    started() {
      at = undefined
      startedAt = performance.now()
    },
  }
}
