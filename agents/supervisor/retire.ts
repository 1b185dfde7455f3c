// The end of a process that has given way: it finishes what it has begun, then SIGTERM, grace, SIGKILL of its group.
import { setTimeout as sleep } from 'node:timers/promises'
import { metrics } from '@aether/contract/metric-names'
import type { Log } from '@aether/runtime/log'
import { createCounter, createHistogram, type Registry } from '@aether/runtime/metrics'
import type { Child } from './child.ts'
import type { SupervisorConfig } from './config.ts'

/** Resolves when nothing of the process is left. `signal` cuts the drain short; the stop itself is always finished. */
export type Retire = (old: Child, signal?: AbortSignal, quietMs?: number) => Promise<void>

/** A connection with no request on it is ended when nothing came or went on it for this long. */
const usualQuietMs = 2000
/** For a WebSocket's other side to answer the close frame. */
const webSocketMs = 5000
/** Processes that drain at the same time; where another one comes, the oldest is ended. */
const mostAtOnce = 3

export function createRetire(
  { drainLimitMs, graceMs }: Pick<SupervisorConfig, 'drainLimitMs' | 'graceMs'>,
  log: Log,
  registry: Registry,
): Retire {
  const timeouts = createCounter(registry, metrics.drainTimeoutsTotal)
  const requests = createHistogram(registry, metrics.drainRequests, [0, 1, 5, 10, 50, 100, 500, 1000])
  const draining: AbortController[] = []

  return async (old, signal, quietMs = usualQuietMs) => {
    if (draining.length >= mostAtOnce) draining.shift()?.abort()
    const cut = new AbortController()
    draining.push(cut)
    const outcome = await drain(
      old,
      quietMs,
      AbortSignal.any(signal === undefined ? [cut.signal] : [cut.signal, signal]),
    )
    if (draining.includes(cut)) draining.splice(draining.indexOf(cut), 1)
    const { inFlight } = old.link.facts()
    requests.observe({}, inFlight)
    if (outcome === 'timeout') timeouts.inc({})
    await old.stop(graceMs)
    log.info({ pid: old.pid, digest: old.activation.digest, inFlight, drain: outcome }, 'the process before has ended')
  }

  async function drain(old: Child, quietMs: number, signal: AbortSignal) {
    if (!old.link.facts().attached) return 'unattached'
    const until = performance.now() + drainLimitMs
    old.link.order({ do: 'drain', quietMs, webSocketMs: Math.min(webSocketMs, drainLimitMs) })
    while (old.isAlive() && !old.link.facts().drained) {
      if (signal.aborted) return 'cut'
      const left = until - performance.now()
      if (left <= 0) return 'timeout'
      await Promise.race([old.link.changed(), old.exited, sleep(left, undefined, { signal }).catch(() => undefined)])
    }
    return 'drained'
  }
}
