// What the agents cost: the time until each does its work, and the memory of each process. Tables, no limits.
import { isObject } from '@aether/contract/json'
import type { Test } from 'tap'
import { deployHello, type Mode } from './kit/deploy.ts'
import { awaitLine, listPods, logLines, type Pod, readyPods, runInside } from './kit/pods.ts'
import { type Process, readProcesses } from './kit/processes.ts'
import { annotationsOf, packRelease } from './kit/releases.ts'
import { median, type Row, reportRows } from './kit/report.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'

for (const mode of ['watch', 'file'] as const)
  await runScenario(`footprint in mode ${mode}`, async (t, scenario) => {
    const { folder, keys, tools } = scenario
    const release = await packRelease(folder, '1.0.0', keys)
    await tools.put(release.name, release.file)
    const appliedAt = performance.now()
    await deployHello(scenario, { mode, replicas: 1, annotations: annotationsOf(release, tools.url(release.name)) })
    const [pod] = await readyPods(scenario, 1)
    if (pod === undefined) throw new Error('one pod was asked for')
    const readyMs = performance.now() - appliedAt
    const fetcher = await readProcesses(scenario, pod.name, 'fetcher')
    const app = await readProcesses(scenario, pod.name, 'app')
    reportRows(t, scenario, `start, mode ${mode}`, [
      ...(await startRows(t, scenario, pod, fetcher, app)),
      { what: 'kubectl apply called -> pod seen Ready', ms: Math.round(readyMs) },
      ...(await conditionRows(scenario)),
      { what: 'init-fetch, from spawn to exit (median of 5)', ms: await timeInitFetch(scenario, pod) },
    ])
    reportRows(t, scenario, `memory, mode ${mode}`, [
      ...fetcher.map((one) => memoryRow(mode, 'fetcher', one)),
      ...app.map((one) => memoryRow(mode, 'app', one)),
    ])
  })

async function startRows(
  t: Test,
  scenario: Scenario,
  pod: Pod,
  fetcher: readonly Process[],
  app: readonly Process[],
): Promise<Row[]> {
  const find = (all: readonly Process[], word: string) => all.find(({ command }) => command.includes(word))
  const [fetching, supervising] = [find(fetcher, 'fetcher'), find(app, 'supervisor')]
  if (fetching === undefined || supervising === undefined) {
    t.fail('fetcher and supervisor run', { fetcher, app })
    return []
  }
  const serves = ' serves"'
  await awaitLine(scenario, pod.name, 'app', serves, (line) => line.includes(serves))
  const fetcherLines = await logLines(scenario, pod.name, 'fetcher')
  const appLines = await logLines(scenario, pod.name, 'app')
  return [
    { what: 'fetcher: process start -> first line', ms: timeOf(fetcherLines, '"time"') - fetching.startedAtMs },
    { what: 'supervisor: process start -> first line', ms: timeOf(appLines, '"time"') - supervising.startedAtMs },
    { what: 'supervisor: process start -> release serves', ms: timeOf(appLines, serves) - supervising.startedAtMs },
  ].map(({ what, ms }) => ({ what, ms: Math.round(ms) }))
}

/** Time of the first JSON line that holds `words`. */
function timeOf(lines: readonly string[], words: string): number {
  const line: unknown = JSON.parse(lines.find((one) => one.startsWith('{') && one.includes(words)) ?? '{}')
  return isObject(line) && typeof line.time === 'string' ? Date.parse(line.time) : Number.NaN
}

/** Kubernetes tells these in whole seconds. */
async function conditionRows(scenario: Scenario): Promise<Row[]> {
  const [pod] = await listPods(scenario)
  const created = pod?.metadata?.creationTimestamp
  return ['PodReadyToStartContainers', 'Initialized', 'Ready'].map((type) => {
    const at = pod?.status?.conditions?.find((condition) => condition.type === type)?.lastTransitionTime
    const ms = at === undefined || created === undefined ? Number.NaN : at.getTime() - created.getTime()
    return { what: `pod created -> ${type} (whole seconds)`, ms }
  })
}

/** Run again beside the fetcher, with a volume of its own each time: Kubernetes tells its ends in whole seconds only. */
async function timeInitFetch(scenario: Scenario, pod: Pod): Promise<number> {
  const script = `
import { spawnSync } from 'node:child_process'
const times = []
for (let at = 0; at < 5; at++) {
  const folder = '/var/lib/aether/staging/e2e-' + at
  const env = { ...process.env, AETHER_DATA_DIR: folder, AETHER_TERMINATION_LOG: folder + '/ended' }
  const began = performance.now()
  const { status, stdout } = spawnSync('/aether/bin/init-fetch', [], { env })
  times.push(performance.now() - began)
  if (status !== 0) throw new Error(String(stdout))
  fs.rmSync(folder, { recursive: true, force: true })
}
console.log(JSON.stringify(times))
`
  const times: number[] = JSON.parse(await runInside(scenario, pod.name, 'fetcher', script))
  return Math.round(median(times))
}

function memoryRow(mode: Mode, container: string, { command, threads, anonKb, rssKb, peakKb }: Process): Row {
  const mb = (kilobytes: number) => (kilobytes / 1024).toFixed(1)
  const short = command.replaceAll(/\/[^ ]*\/([^/ ]+)/g, '$1').slice(0, 50)
  return { mode, container, process: short, anon_mb: mb(anonKb), rss_mb: mb(rssKb), peak_mb: mb(peakKb), threads }
}
