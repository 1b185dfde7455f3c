// When a failed target is tried again, by the rule of its reason (contract/reasons.ts).
import type { RetryRule } from '@aether/contract/reasons'

const firstMs = 500
const mostMs = 5_000
const quickTries = 8
const slowMs = 60_000

/** Milliseconds until try number `failures + 1`; Infinity where only new annotations help. `random` is from 0 to 1. */
export function retryDelayMs(rule: RetryRule, failures: number, random: number): number {
  if (rule === 'annotation') return Number.POSITIVE_INFINITY
  const jitter = 0.5 + random / 2
  if (rule === 'slow' || failures > quickTries) return slowMs * jitter
  return Math.min(mostMs, firstMs * 2 ** (failures - 1)) * jitter
}
