// How long from the PATCH of the annotations to the first answer of the new version, and how many requests fail
// meanwhile. Nothing is asserted about time: the table is the result.
import { hexOf } from '@aether/contract/digest'
import type { Test } from 'tap'
import { loadConfig } from './kit/config.ts'
import { deployHello, type Mode } from './kit/deploy.ts'
import { measureRefresh } from './kit/measure-refresh.ts'
import { awaitMarker, readMarkers, readyPods } from './kit/pods.ts'
import { annotationsOf, packRelease, type Release } from './kit/releases.ts'
import { median, type Row, reportRows } from './kit/report.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import type { Measured } from './kit/tools/protocol.ts'

const { latencyRefreshes: refreshes } = loadConfig()
const limitMs = 120_000 + 2 * refreshes * 20_000

for (const mode of ['watch', 'file'] as const)
  await runScenario(
    `latency in mode ${mode}`,
    async (t, scenario) => {
      const rows: Row[] = []
      for (const [drain, env] of [
        ['default', {}],
        ['0 ms', { AETHER_DRAIN_MAX_MS: '0' }],
      ] as const)
        rows.push(await measureSeries(t, scenario, mode, drain, env))
      reportRows(
        t,
        scenario,
        `PATCH -> first new answer from the pod's own address, ${refreshes} refreshes of 1 pod`,
        rows,
      )
    },
    limitMs,
  )

/** What the marker says: from the fetcher's event on, by the pod's own clock. */
interface Reported {
  readonly ms: number
  readonly fetchMs: number
  readonly swapMs: number
}

async function measureSeries(
  t: Test,
  scenario: Scenario,
  mode: Mode,
  drain: string,
  env: Readonly<Record<string, string>>,
): Promise<Row> {
  const { folder, keys, tools } = scenario
  const releases: Release[] = []
  for (let at = 0; at <= refreshes; at++) {
    const release = await packRelease(folder, `${at}.0.0-drain${drain.length}`, keys)
    await tools.put(release.name, release.file)
    releases.push(release)
  }
  const [first, ...others] = releases
  if (first === undefined) throw new Error('no release was packed')
  await deployHello(scenario, { mode, replicas: 1, annotations: annotationsOf(first, tools.url(first.name)), env })

  const results: Measured[] = []
  const reported: Reported[] = []
  for (const release of others) {
    const [pod] = await readyPods(scenario, 1)
    if (pod === undefined) throw new Error('one pod was asked for')
    const from = (await readMarkers(scenario, pod.name)).length
    results.push(await measureRefresh(scenario, pod, release))
    const ok = await awaitMarker(scenario, pod.name, from, 'REFRESH_OK', ({ kind }) => kind === 'ok')
    t.match(ok, { digest: hexOf(release.digest) }, `${mode}, drain ${drain}: ${release.answer} is reported`)
    if (ok.kind === 'ok')
      reported.push({ ms: ok.ms, swapMs: Number(ok.pairs.swap_ms), fetchMs: Number(ok.pairs.fetch_ms) })
  }
  const targets = results.flatMap((result) => result.targets)
  const arrived = targets.flatMap(({ firstNewMs }) => firstNewMs ?? [])
  t.equal(arrived.length, refreshes, `${mode}, drain ${drain}: all ${refreshes} arrived`)
  const failed = targets.map((target) => Object.values(target.failed).reduce((sum, count) => sum + count, 0))
  const kinds = new Set(
    targets.flatMap((target) => Object.entries(target.failed).flatMap(([kind, n]) => (n > 0 ? [kind] : []))),
  )
  const slowest = results.findIndex(({ targets: [one] }) => one?.firstNewMs === Math.max(...arrived))
  t.comment(
    `the slowest, of ${others[slowest]?.answer}: ${JSON.stringify({ ...results[slowest], ...reported[slowest] })}`,
  )
  return {
    mode,
    drain,
    p50_ms: Math.round(median(arrived)),
    max_ms: Math.round(Math.max(...arrived)),
    min_ms: Math.round(Math.min(...arrived)),
    patch_p50_ms: Math.round(median(results.map((result) => result.patchMs))),
    refresh_ok_p50_ms: median(reported.map(({ ms }) => ms)),
    fetch_p50_ms: median(reported.map(({ fetchMs }) => fetchMs)),
    swap_p50_ms: median(reported.map(({ swapMs }) => swapMs)),
    requests: targets.reduce((sum, target) => sum + target.requests, 0),
    failed: failed.reduce((sum, count) => sum + count, 0),
    failed_kinds: [...kinds].join('+') || '-',
    failed_max: Math.max(...failed),
  }
}
