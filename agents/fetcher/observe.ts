// The one place that counts and logs an outcome.
import { hexOf } from '@aether/contract/digest'
import { formatRefreshFail, formatRefreshOk, formatRefreshState } from '@aether/contract/markers'
import { metrics } from '@aether/contract/metric-names'
import type { ReasonError } from '@aether/contract/reasons'
import type { Refreshed } from '@aether/release/refresh'
import type { Log } from '@aether/runtime/log'
import { createCounter, createGauge, createHistogram, type Registry } from '@aether/runtime/metrics'
import type { Delivery } from './delivery.ts'
import type { FetcherState } from './state.ts'

export type Settled = Omit<Refreshed, 'warnings' | 'keyId'> & {
  readonly ms: number
  readonly swapMs: number | undefined
}

export interface Observer {
  ok(settled: Settled, state: FetcherState): void
  fail(error: ReasonError, delivery: Delivery | undefined, ms: number, state: FetcherState): void
  state(state: FetcherState): void
}

const latencyBuckets = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const mostCommits = 5

export function createObserver(app: string, registry: Registry, log: Log): Observer {
  const total = createCounter(registry, metrics.refreshTotal)
  const failed = createCounter(registry, metrics.refreshFailureTotal)
  const latency = createHistogram(registry, metrics.refreshLatencySeconds, latencyBuckets)
  const consecutive = createGauge(registry, metrics.refreshConsecutiveFailures)
  const signatureFailed = createCounter(registry, metrics.signatureFailTotal)
  const commits: { commit: string; reasons: Set<string> }[] = []
  signatureFailed.inc({ app }, 0)

  /** The commit as a label; the series of the sixth last go. */
  function commitLabel(commit: string, reason?: string): string {
    const at = commits.findIndex((one) => one.commit === commit)
    const [known] = at < 0 ? [{ commit, reasons: new Set<string>() }] : commits.splice(at, 1)
    if (known === undefined) return commit
    if (reason !== undefined) known.reasons.add(reason)
    commits.push(known)
    if (commits.length <= mostCommits) return commit
    const oldest = commits.shift()
    if (oldest === undefined) return commit
    total.remove({ app, commit: oldest.commit })
    for (const word of oldest.reasons) failed.remove({ app, reason: word, commit: oldest.commit })
    return commit
  }
  function showState(state: FetcherState): void {
    consecutive.set({ app }, state.failures)
    log.marker(formatRefreshState(state.failures, state.lastDigest === null ? '' : hexOf(state.lastDigest)))
  }

  return {
    state: showState,
    ok(settled, state) {
      const { activation, ms, reused, bytes, verifyMs, fetchMs, activateMs, swapMs } = settled
      const digest = hexOf(activation.digest)
      total.inc({ app, commit: commitLabel(activation.commit ?? '') })
      latency.observe({ app }, ms / 1000)
      log.marker(
        formatRefreshOk(
          { app, digest, ms },
          {
            activation: activation.id,
            reused: String(reused),
            bytes,
            verify_ms: verifyMs,
            fetch_ms: fetchMs,
            activate_ms: activateMs,
            swap_ms: swapMs,
          },
        ),
      )
      showState(state)
    },
    fail(error, delivery, ms, state) {
      const { reason, detail, message } = error
      const asked = delivery?.asked
      failed.inc({ app, reason, commit: commitLabel(asked?.commit ?? '', reason) })
      if (reason === 'signature') signatureFailed.inc({ app })
      log.error({ reason, detail, digest: asked?.digest, cause: error.cause }, message)
      const digest = asked === undefined ? undefined : hexOf(asked.digest)
      log.marker(formatRefreshFail({ app, reason, ms }, { detail, digest, failures: state.failures }))
      showState(state)
    },
  }
}
