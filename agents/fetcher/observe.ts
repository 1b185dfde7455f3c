// The one place that counts and logs an outcome.
import { type Digest, hexOf } from '@aether/contract/digest'
import type { FetcherState } from '@aether/contract/fetcher-state'
import { formatRefreshFail, formatRefreshOk, formatRefreshState } from '@aether/contract/markers'
import { metrics } from '@aether/contract/metric-names'
import { type ReasonError, reasons } from '@aether/contract/reasons'
import type { TraceContext } from '@aether/contract/traceparent'
import type { Refreshed } from '@aether/release/refreshed'
import type { Log } from '@aether/runtime/log'
import { createCounter, createGauge, createHistogram, type Registry, type TypedGauge } from '@aether/runtime/metrics'

export type Settled = Omit<Refreshed, 'warnings' | 'keyId'> & {
  readonly ms: number
  readonly swapMs: number | undefined
}

/** The release that an outcome is of: a target's, or one that was activated before anything was asked for. */
export interface Subject {
  readonly digest: Digest
  readonly commit?: string | null
  readonly trace?: TraceContext
}

export interface Observer {
  ok(settled: Settled, state: FetcherState): void
  /** `about` is left out where no digest was asked for. */
  fail(error: ReasonError, about: Subject | undefined, ms: number, state: FetcherState): void
  /** What is asked for serves already. */
  noop(digest: Digest): void
  /** At the start: what was reported as serving before is active still. */
  resumed(state: FetcherState): void
  /** What is remembered now, also over a restart. */
  state(state: FetcherState): void
  /** Our annotations changed at `at`, performance.now(). */
  patched(at: number): void
  /** Failures in a row reached the threshold. */
  anomaly(state: FetcherState): void
}

const latencyBuckets = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const stageBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const mostCommits = 5
const mostPatches = 10_000

export function createObserver(app: string, registry: Registry, log: Log): Observer {
  const total = createCounter(registry, metrics.refreshTotal)
  const failed = createCounter(registry, metrics.refreshFailureTotal)
  const latency = createHistogram(registry, metrics.refreshLatencySeconds, latencyBuckets)
  const consecutive = createGauge(registry, metrics.refreshConsecutiveFailures)
  const signatureFailed = createCounter(registry, metrics.signatureFailTotal)
  const anomalies = createCounter(registry, metrics.anomalyEventsTotal)
  const stages = createHistogram(registry, metrics.refreshStageSeconds, stageBuckets)
  const artifactBytes = createCounter(registry, metrics.artifactBytesTotal)
  const sources = createCounter(registry, metrics.refreshSourceTotal)
  const drifts = createCounter(registry, metrics.releaseDriftTotal)
  const release = createGauge(registry, metrics.releaseInfo)
  const patches: number[] = []
  const patchRate: TypedGauge<'app'> = createGauge(registry, metrics.patchRatePerMinute, () => {
    forgetPatches(performance.now())
    patchRate.set({ app }, patches.length)
  })
  let served: string | undefined
  const commits: { commit: string; reasons: Set<string> }[] = []
  // Shown from the start, so that a rate over their first increase is seen.
  signatureFailed.inc({ app }, 0)
  anomalies.inc({ app }, 0)
  for (const detail of reasons.drift.details) drifts.inc({ detail }, 0)

  function forgetPatches(now: number): void {
    while (patches[0] !== undefined && (patches[0] < now - 60_000 || patches.length > mostPatches)) patches.shift()
  }

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
    if (served !== undefined && served !== state.lastDigest) release.remove({ digest: served })
    served = state.lastDigest ?? undefined
    if (served !== undefined) release.set({ digest: served }, 1)
    consecutive.set({ app }, state.failures)
  }

  return {
    state(state) {
      showState(state)
      log.marker(formatRefreshState(state.failures, state.lastDigest === null ? '' : hexOf(state.lastDigest)))
    },
    noop() {},
    resumed() {},
    patched(at) {
      patches.push(at)
      forgetPatches(at)
    },
    anomaly({ failures }) {
      anomalies.inc({ app })
      log.error({ failures }, 'failures in a row reached the threshold: retries come once a minute until one succeeds')
    },
    ok(settled, state) {
      const { activation, ms, reused, source, bytes, reusedFiles, reusedBytes, verifyMs, fetchMs, activateMs, swapMs } =
        settled
      const digest = hexOf(activation.digest)
      total.inc({ app, commit: commitLabel(activation.commit ?? '') })
      latency.observe({ app }, ms / 1000)
      const times = { verify: verifyMs, fetch: fetchMs, activate: activateMs, swap: swapMs }
      for (const [stage, stageMs] of Object.entries(times))
        if (stageMs !== undefined) stages.observe({ stage }, stageMs / 1000)
      artifactBytes.inc({ source: reused ? 'reused' : 'network' }, bytes)
      if (reusedBytes > 0) artifactBytes.inc({ source: 'reused' }, reusedBytes)
      sources.inc({ source, outcome: 'taken' })
      for (const refused of settled.refusedSources) sources.inc({ source: refused, outcome: 'refused' })
      log.marker(
        formatRefreshOk(
          { app, digest, ms },
          {
            activation: activation.id,
            reused: String(reused),
            source,
            bytes: reused ? 0 : bytes,
            reused_files: source === 'delta' || source === 'ranges' ? reusedFiles : undefined,
            verify_ms: verifyMs,
            fetch_ms: fetchMs,
            activate_ms: activateMs,
            swap_ms: swapMs,
          },
        ),
      )
      showState(state)
    },
    fail(error, about, ms, state) {
      const { reason, detail, message } = error
      failed.inc({ app, reason, commit: commitLabel(about?.commit ?? '', reason) })
      if (reason === 'signature') signatureFailed.inc({ app })
      if (reason === 'drift') drifts.inc({ detail })
      log.error({ reason, detail, digest: about?.digest, cause: error.cause }, message)
      const digest = about === undefined ? undefined : hexOf(about.digest)
      log.marker(formatRefreshFail({ app, reason, ms }, { detail, digest, failures: state.failures }))
      showState(state)
    },
  }
}
