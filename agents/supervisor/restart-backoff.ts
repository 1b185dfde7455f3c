// When an app that ended by itself is started again: at once, and later each time that it does not last. A second of life
// makes up for one quick end.
export interface Backoff {
  /** It ended, or did not come up: a start is due `leftMs` from now on. */
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
const makesUpMs = 1000
const never = 86_400_000

export function createBackoff(now: () => number = () => performance.now()): Backoff {
  let at: number | undefined
  let quick = 0
  let startedAt: number | undefined
  return {
    plan() {
      const livedMs = startedAt === undefined ? 0 : now() - startedAt
      startedAt = undefined
      quick = Math.max(0, quick - Math.floor(livedMs / makesUpMs))
      at = now() + (quick === 0 ? 0 : Math.min(longestMs, firstMs * 2 ** (quick - 1)))
      quick = Math.min(quick + 1, 20)
    },
    isDue: () => at !== undefined && now() >= at,
    leftMs: () => (at === undefined ? never : Math.max(0, Math.round(at - now()))),
    begin() {
      at = undefined
    },
    started() {
      at = undefined
      startedAt = now()
    },
  }
}
