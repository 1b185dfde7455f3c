// save -> first new answer: `aether dev --pods` beside a tar through `kubectl exec` into a pod under `node --watch-path`, and beside
// `node --watch-path` on this machine, in turns.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isObject } from '@aether/contract/json'
import { readMarkers, readyPods } from '@aether/e2e/kit/pods'
import { formatRows, median, type Row } from '@aether/e2e/kit/report'
import { type Scenario, withScenario } from '@aether/e2e/kit/scenario'
import { type BenchOptions, type BenchRow, lessIsBetter, round } from '../bench.ts'
import { createHello, createLargeFastify, type DevApp } from './apps.ts'
import { type Contestant, enterAether, enterHost, enterTarExec } from './contestants.ts'
import { measureIdle } from './idle.ts'
import { enterImageRollout } from './image-rollout.ts'
import { measureSave, type Saved } from './measure.ts'

const idleSec = 10

interface Result {
  readonly contestant: Contestant
  readonly saves: Saved[]
}

export async function benchDev(options: BenchOptions): Promise<void> {
  const { say, isJson } = options
  const rows: BenchRow[] = []
  const tables: string[] = []
  for (const create of [createHello, createLargeFastify])
    await withScenario('bench dev', say, async (scenario) => {
      const app = await create(scenario.folder)
      say(`${app.name}: ${app.files} files`)
      const results = await race(scenario, app, options)
      const idle = await Promise.all(
        results.flatMap(({ contestant: { name, pid } }) =>
          pid === undefined ? [] : [measureIdle(pid, idleSec).then((cost) => ({ name, ...cost }))],
        ),
      )
      tables.push(...formatRows(results.map((result) => summary(app, result))), '')
      tables.push(...formatRows([await stages(scenario, app, results)]), '')
      tables.push(
        ...formatRows(
          idle.map(({ name, cpuMs, rssMb, processes }) => ({
            app: app.name,
            idle: name,
            cpu_ms_per_s: round(cpuMs, 1),
            rss_mb: Math.round(rssMb),
            processes,
          })),
        ),
        '',
      )
      rows.push(...compare(app, results))
      const [own, host] = ['aether', 'node-watch host'].map((name) => idle.find((one) => one.name === name))
      if (own !== undefined && host !== undefined) {
        const what = { case: app.name, peer: 'node-watch host' }
        rows.push(
          lessIsBetter({
            ...what,
            measure: 'idle cpu',
            ours: round(own.cpuMs, 1),
            theirs: round(host.cpuMs, 1),
            unit: 'ms/s',
          }),
        )
        rows.push(
          lessIsBetter({
            ...what,
            measure: 'idle rss',
            ours: Math.round(own.rssMb),
            theirs: Math.round(host.rssMb),
            unit: 'MB',
          }),
        )
      }
      for (const { contestant } of results) await contestant.close()
    })
  for (const line of tables)
    if (isJson) say(line)
    else console.log(line)
  if (isJson) console.log(JSON.stringify({ name: 'dev', rows }))
}

async function race(scenario: Scenario, app: DevApp, options: BenchOptions) {
  const { ours, theirs, busyboxImage, imageLoad, say } = options
  const results: Result[] = []
  const contestants = [
    await enterAether(scenario, app),
    await enterTarExec(scenario, app, busyboxImage),
    await enterHost(join(scenario.folder, 'host'), app),
  ]
  if (imageLoad === undefined)
    say('image-rollout is left out: AETHER_IMAGE_LOAD names no command that loads an image archive')
  else contestants.push(await enterImageRollout(scenario, app, imageLoad))
  for (const contestant of contestants) results.push({ contestant, saves: [] })
  for (let turn = 1; turn <= ours; turn += 1) {
    const said: string[] = []
    for (const { contestant, saves } of results) {
      if (contestant.name !== 'aether' && turn > theirs) continue
      const text = `save-${turn}`
      const saved = await measureSave(contestant.address, text, () => contestant.save(text))
      saves.push(saved)
      said.push(`${contestant.name} ${saved.firstNewMs.toFixed()}`)
      await sleep(200)
    }
    say(`${app.name}, turn ${turn} of ${ours}, ms: ${said.join(', ')}`)
  }
  return results
}

function summary(app: DevApp, { contestant, saves }: Result): Row {
  const times = saves.map(({ firstNewMs }) => firstNewMs)
  return {
    app: app.name,
    by: contestant.name,
    saves: saves.length,
    p50_ms: Math.round(median(times)),
    min_ms: Math.round(Math.min(...times)),
    max_ms: Math.round(Math.max(...times)),
    requests: sum(saves.map(({ requests }) => requests)),
    failed: sum(saves.map(({ failed }) => failed)),
    failed_max: Math.max(...saves.map(({ failed }) => failed)),
  }
}

/** Where the milliseconds of ours go, medians: by its own lines, and by the pod's markers. */
async function stages(scenario: Scenario, app: DevApp, results: readonly Result[]): Promise<Row> {
  const dev = results.find(({ contestant }) => contestant.name === 'aether')?.contestant.dev
  const lines = (dev?.records() ?? []).slice(1).map(({ ms }) => (isObject(ms) ? ms : {}))
  const of = (name: string) => median(lines.map((ms) => Number(ms[name] ?? 0)))
  const names = ['copy', 'pack', 'upload', 'deploy', 'serving'] as const
  const [pod] = await readyPods(scenario, 1)
  const markers = (await readMarkers(scenario, pod?.name ?? ''))
    .flatMap((one) => (one.kind === 'ok' ? [one] : []))
    .slice(1)
  const inPod = (name: string) => median(markers.map(({ pairs }) => Number(pairs[name] ?? 0)))
  return {
    app: app.name,
    total_ms: of('total'),
    waited_ms: median(lines.map((ms) => Number(ms.total) - sum(names.map((name) => Number(ms[name] ?? 0))))),
    ...Object.fromEntries(names.map((name) => [`${name}_ms`, of(name)])),
    pod_ms: median(markers.map(({ ms }) => ms)),
    verify_ms: inPod('verify_ms'),
    fetch_ms: inPod('fetch_ms'),
    activate_ms: inPod('activate_ms'),
    swap_ms: inPod('swap_ms'),
    delta_bytes: inPod('bytes'),
  }
}

function compare(app: DevApp, results: readonly Result[]): readonly BenchRow[] {
  const own = results.find(({ contestant }) => contestant.name === 'aether')
  if (own === undefined) return []
  const seconds = (saves: readonly Saved[], of: (times: readonly number[]) => number) =>
    round(of(saves.map(({ firstNewMs }) => firstNewMs)) / 1_000, 3)
  const most = (times: readonly number[]) => Math.max(...times)
  return results.flatMap(({ contestant, saves }) => {
    if (contestant.name === 'aether') return []
    const row = (measure: string, unit: string, value: (of: readonly Saved[]) => number) =>
      lessIsBetter({
        case: app.name,
        peer: contestant.name,
        measure,
        unit,
        ours: value(own.saves),
        theirs: value(saves),
      })
    return [
      row('p50', 's', (of) => seconds(of, median)),
      row('max', 's', (of) => seconds(of, most)),
      row('failed', 'requests per save', (of) => round(sum(of.map(({ failed }) => failed)) / of.length, 2)),
    ]
  })
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
