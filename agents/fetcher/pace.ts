// When the next try may be: a minimum time between activations, retries by the rule of the reason (contract/reasons.ts),
// and slow retries once failures in a row reach the threshold.
import { type ReasonError, retryRuleOf } from '@aether/contract/reasons'

export interface PaceOptions {
  readonly minIntervalMs: number
  /** Quick retries of one target. */
  readonly maxRetries: number
  /** Failures in a row, over all targets. */
  readonly anomalyThreshold: number
  /** From 0 to 1. */
  readonly random: () => number
}

type Failure = Pick<ReasonError, 'reason' | 'detail' | 'retryAfterMs'>

export interface Pace {
  /** Milliseconds until an activation may be; 0 where it may be now. `now` is monotonic. */
  restMs(now: number): number
  activated(now: number): void
  /**
   * Milliseconds until try number `tries + 1` of the same target, never within `retryAfterMs`, which a server asked for;
   * Infinity where only new annotations help.
   */
  retryMs(failure: Failure, tries: number, failuresInARow: number): number
  /** Whether this failure is the one that reaches the threshold. */
  isAnomaly(failuresInARow: number): boolean
}

const firstMs = 500
const mostMs = 5_000
const slowMs = 60_000

export function createPace({ minIntervalMs, maxRetries, anomalyThreshold, random }: PaceOptions): Pace {
  let last = Number.NEGATIVE_INFINITY
  return {
    restMs: (now) => Math.max(0, last + minIntervalMs - now),
    activated(now) {
      last = now
    },
    retryMs(failure, tries, failuresInARow) {
      const { retryAfterMs = 0 } = failure
      const retry = retryRuleOf(failure)
      if (retry === 'annotation') return Number.POSITIVE_INFINITY
      const jitter = 0.5 + random() / 2
      const isSlow = retry === 'slow' || tries > maxRetries || failuresInARow >= anomalyThreshold
      const pauseMs = isSlow ? slowMs : Math.min(mostMs, firstMs * 2 ** (tries - 1))
      return Math.max(pauseMs * jitter, retryAfterMs + firstMs * jitter)
    },
    isAnomaly: (failuresInARow) => failuresInARow === anomalyThreshold,
  }
}
