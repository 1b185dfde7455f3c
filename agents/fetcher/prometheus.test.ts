// A real Prometheus scrapes a real fetcher and a real supervisor, and answers for their series; promtool finds no fault
// with either page.
import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isObject } from '@aether/contract/json'
import { eventually, freePort, startProcess } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { createWorld } from './test-kit.ts'

const supervisorMain = fileURLToPath(new URL('../supervisor/main.ts', import.meta.url))
const isThere = ['prometheus', 'promtool'].every((name) => spawnSync(name, ['--version']).status === 0)
const options = isThere ? {} : { skip: 'prometheus and promtool are not on PATH: apt-get install prometheus' }

const app = `import { createServer } from 'node:http'
process.on('SIGTERM', () => process.exit(0))
createServer((_, response) => response.end('here')).listen(process.env.PORT)`

/** Prometheus over these targets, by job; answers how to ask it. */
async function startPrometheus(t: Test, root: string, targets: Readonly<Record<string, number>>) {
  const port = await freePort()
  const jobs = Object.entries(targets).map(([job, at]) => ({
    job_name: job,
    static_configs: [{ targets: [`127.0.0.1:${at}`] }],
  }))
  const config = { global: { scrape_interval: '200ms', scrape_timeout: '200ms' }, scrape_configs: jobs }
  writeFileSync(join(root, 'prometheus.yml'), JSON.stringify(config)) // JSON is YAML
  const flags = [
    `--config.file=${root}/prometheus.yml`,
    `--storage.tsdb.path=${root}/tsdb`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]
  const child = spawn('prometheus', flags, { stdio: 'ignore' })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  /** The series of a query: labels without those that Prometheus adds, and value. */
  return async function ask(query: string): Promise<Record<string, string>> {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`)
    const body: unknown = await response.json()
    const found: Record<string, string> = {}
    if (!isObject(body) || !isObject(body.data) || !Array.isArray(body.data.result)) return found
    for (const row of body.data.result)
      if (isObject(row) && isObject(row.metric) && Array.isArray(row.value)) {
        const { __name__, instance: _, job: __, ...labels } = row.metric
        found[`${String(__name__)} ${JSON.stringify(labels)}`] = String(row.value[1])
      }
    return found
  }
}

await test(
  'Prometheus takes both pages and answers for every series, and promtool finds nothing to mend',
  options,
  async (t) => {
    const world = await createWorld(t, { AETHER_SUPERVISED: 'true' })
    const [port, supervisorPort] = [await freePort(), await freePort()]
    const supervisor = startProcess(t, supervisorMain, {
      AETHER_WORKSPACE_DIR: world.layout.workspace,
      AETHER_RUN_DIR: join(world.root, 'run'),
      AETHER_HEALTH_HOST: '127.0.0.1',
      AETHER_HEALTH_PORT: String(supervisorPort),
      AETHER_DRAIN_MAX_MS: '0',
      PORT: String(port),
    })
    await supervisor.line('waiting for a release')
    world.annotate({ ...world.make(app).annotations, 'aether.dev/build-commit': 'abc1234' })
    const fetcher = world.start()
    t.match(await fetcher.marker(1), { kind: 'ok' })
    const two = world.make(`${app}\n// two`, { 'aether.dev/build-commit': 'def5678' })
    world.annotate({ ...two.annotations, 'aether.dev/signature': '0'.repeat(128) })
    t.match(await fetcher.marker(2), { kind: 'fail', reason: 'signature' })
    world.annotate(two.annotations)
    t.match(await fetcher.marker(3), { kind: 'ok' })
    world.annotate({ ...world.make('process.exit(3)').annotations, 'aether.dev/build-commit': 'bad' })
    t.match(await fetcher.marker(4), { kind: 'fail', reason: 'unhealthy', pairs: { detail: 'exited' } })

    const ask = await startPrometheus(t, world.root, { fetcher: world.healthPort, supervisor: supervisorPort })
    await eventually('both to be scraped', async () => Object.values(await ask('sum(up)')).includes('2'))
    const expected: Readonly<Record<string, Readonly<Record<string, string>>>> = {
      dev_hot_refresh_total: { '{"app":"shop","commit":"abc1234"}': '1', '{"app":"shop","commit":"def5678"}': '1' },
      dev_hot_refresh_failure_total: {
        '{"app":"shop","commit":"def5678","reason":"signature"}': '1',
        '{"app":"shop","commit":"bad","reason":"unhealthy"}': '1',
      },
      dev_hot_refresh_latency_seconds_count: { '{"app":"shop"}': '2' },
      dev_hot_refresh_consecutive_failures: { '{"app":"shop"}': '1' },
      dev_hot_signature_fail_total: { '{"app":"shop"}': '1' },
      dev_hot_patch_rate_per_minute: { '{"app":"shop"}': '4' },
      dev_hot_anomaly_events_total: { '{"app":"shop"}': '0' },
      aether_release_info: { [JSON.stringify({ digest: two.digest })]: '1' },
      aether_refresh_stage_seconds_count: Object.fromEntries(
        ['activate', 'fetch', 'swap', 'verify'].map((stage) => [JSON.stringify({ stage }), '2']),
      ),
      'aether_swap_seconds_count{outcome="fail"}': {
        '{"outcome":"fail","strategy":"overlap"}': '1',
      },
      aether_app_restarts_total: { '{}': '0' },
    }
    for (const [name, series] of Object.entries(expected))
      t.same(
        await ask(name),
        Object.fromEntries(Object.entries(series).map(([labels, n]) => [`${name.replace(/\{.*/, '')} ${labels}`, n])),
        name,
      )
    t.equal(Object.keys(await ask('aether_build_info')).length, 2, 'both agents')
    t.match(Object.keys(await ask('aether_artifact_bytes_total > 0')).join(), '{"source":"network"}')
    t.match(Object.values(await ask('histogram_quantile(0.5, dev_hot_refresh_latency_seconds_bucket)')), [
      /^\d+(\.\d+)?$/,
    ])

    for (const at of [world.healthPort, supervisorPort]) {
      const page = await (await fetch(`http://127.0.0.1:${at}/metrics`)).text()
      const { stderr, status } = spawnSync('promtool', ['check', 'metrics'], { input: page, encoding: 'utf8' })
      t.same([status, stderr], [0, ''], 'promtool')
    }
  },
)
