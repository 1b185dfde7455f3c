// What a collector gets of a real fetcher's refreshes.
import { createServer, get } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { annotations } from '@aether/contract/annotations'
import { eventually, freePort, startProcess } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { createWorld } from './test-kit.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parent = '00f067aa0ba902b7'

const supervisorMain = fileURLToPath(new URL('../supervisor/main.ts', import.meta.url))

function appAnswering(version: string): string {
  return `import { createServer } from 'node:http'
createServer((_, response) => response.end('${version}')).listen(process.env.PORT)`
}

function ask(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        body += piece
      })
      response.on('end', () => resolve(body))
    }).on('error', reject)
  })
}

interface Told {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly status: { readonly code: number; readonly message?: string }
}

function timesOf(span: Told | undefined): readonly [bigint, bigint] | undefined {
  return span && [BigInt(span.startTimeUnixNano), BigInt(span.endTimeUnixNano)]
}

/** None begins before the one before it ended. */
function isInOrder(spans: readonly Told[]): boolean {
  const times = spans.flatMap((span) => timesOf(span) ?? [])
  return times.every((time, at) => at === 0 || (times[at - 1] ?? 0n) <= time)
}

async function createCollector(t: Test) {
  const traces: (readonly Told[])[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (piece: string) => {
      body += piece
    })
    request.on('end', () => {
      traces.push(JSON.parse(body).resourceSpans[0].scopeSpans[0].spans)
      response.writeHead(200).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { traces, url: `http://127.0.0.1:${address.port}` }
}

await test('each refresh is one trace below the annotated one, with its stages, or with why it failed', async (t) => {
  const collector = await createCollector(t)
  const world = await createWorld(t, { OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/` })
  const asked = { [annotations.traceparent]: `00-${traceId}-${parent}-01` }
  world.annotate(world.make('one', asked).annotations)
  const fetcher = world.start()
  await fetcher.marker(1)
  world.annotate(world.make('two', { ...asked, [annotations.signature]: '00'.repeat(64) }).annotations)
  await fetcher.marker(2)
  world.annotate(world.make('three').annotations)
  await fetcher.marker(3)
  await eventually('three traces', () => collector.traces.length === 3)

  const [good = [], bad = [], own = []] = collector.traces
  const [root, ...stages] = good
  t.match(root, { name: 'refresh', traceId, parentSpanId: parent, status: { code: 1 } })
  t.strictSame(
    stages.map(({ name }) => name),
    ['event', 'verify', 'fetch', 'extract', 'activate'],
  )
  for (const stage of stages) t.match(stage, { traceId, parentSpanId: root?.spanId ?? '' })
  t.ok(isInOrder(stages.filter(({ name }) => name !== 'extract')), 'one after the other')
  const [fetched, extracted] = ['fetch', 'extract'].map((name) => timesOf(stages.find((stage) => stage.name === name)))
  t.ok(fetched && extracted && fetched[0] <= extracted[0] && extracted[1] === fetched[1], 'extract is within fetch')
  t.match(bad, [{ traceId, parentSpanId: parent, status: { code: 2, message: /signature does not hold/ } }])
  t.equal(bad.length, 1)
  t.not(own[0]?.traceId, traceId, 'without the annotation a trace of its own')
  t.equal(own[0]?.parentSpanId, undefined)
  fetcher.kill('SIGTERM')
  t.equal(await fetcher.exited, 0)
})

await test('with a supervisor the stages of the swap are in it, up to the first answer of the new code', async (t) => {
  const collector = await createCollector(t)
  const world = await createWorld(t, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, AETHER_SUPERVISED: 'true' })
  const port = await freePort()
  const supervisor = startProcess(t, supervisorMain, {
    AETHER_WORKSPACE_DIR: world.layout.workspace,
    AETHER_RUN_DIR: join(world.root, 'run'),
    AETHER_HEALTH_HOST: '127.0.0.1',
    AETHER_HEALTH_PORT: String(await freePort()),
    AETHER_DRAIN_MAX_MS: '0',
    AETHER_DRAIN_LIMIT_MS: '0',
    PORT: String(port),
  })
  await supervisor.line('waiting for a release')
  const fetcher = world.start()
  const names = (trace: readonly Told[] = []) => trace.slice(1).map(({ name }) => name)
  const onDisk = ['event', 'verify', 'fetch', 'extract', 'activate']
  for (const [at, version] of ['one', 'two'].entries()) {
    world.annotate(world.make(appAnswering(version)).annotations)
    t.match(await fetcher.marker(at + 1), { kind: 'ok' })
    // On a connection of its own: the old process would go on answering on one that is kept.
    t.equal(await ask(`http://127.0.0.1:${port}/`), version)
    await eventually('its trace', () => collector.traces.length > at)
    const [root, ...stages] = collector.traces[at] ?? []
    t.strictSame(
      stages.map(({ name }) => name),
      [...onDisk, 'start', 'ready', 'first answer'],
    )
    for (const stage of stages) t.match(stage, { traceId: root?.traceId ?? '', parentSpanId: root?.spanId ?? '' })
    t.ok(isInOrder(stages.filter(({ name }) => name !== 'extract')), 'one after the other')
  }
  // Nobody asks this one: its trace does not wait beyond the end.
  world.annotate(world.make(appAnswering('three')).annotations)
  t.match(await fetcher.marker(3), { kind: 'ok' })
  fetcher.kill('SIGTERM')
  t.equal(await fetcher.exited, 0)
  t.strictSame(names(collector.traces[2]), [...onDisk, 'start', 'ready'])
})

await test('times that supervisor.json makes up are cut to those that can be; without any, the swap is one span', async (t) => {
  const collector = await createCollector(t)
  const world = await createWorld(t, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, AETHER_SUPERVISED: 'true' })
  const [one, two] = [world.make('one'), world.make('two')]
  world.annotate(one.annotations)
  const hour = 3_600_000
  world.say({ activation: 1, digest: one.digest, swap: { startMs: hour, readyMs: hour, firstAnswerMs: 2 * hour } })
  const fetcher = world.start()
  await fetcher.marker(1)
  await eventually('a trace', () => collector.traces.length === 1)
  const made = collector.traces[0]?.slice(-3) ?? []
  t.strictSame(
    made.map(({ name }) => name),
    ['start', 'ready', 'first answer'],
  )
  t.ok(isInOrder(made))
  const now = BigInt(Date.now()) * 1_000_000n
  for (const span of made) t.ok(BigInt(span.endTimeUnixNano) < now + 1_000_000_000n, `${span.name} is not to come`)

  world.say({ activation: 2, digest: two.digest })
  world.annotate(two.annotations)
  await fetcher.marker(2)
  await eventually('two traces', () => collector.traces.length === 2)
  t.equal(collector.traces[1]?.at(-1)?.name, 'swap')
  fetcher.kill('SIGTERM')
  t.equal(await fetcher.exited, 0)
})

await test('a collector that is away costs a refresh nothing but one warning', async (t) => {
  const world = await createWorld(t, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:9/v1/traces' })
  world.annotate(world.make('one').annotations)
  const fetcher = world.start()
  t.match(await fetcher.marker(1), { kind: 'ok' })
  await fetcher.line('traces do not reach the collector')
  fetcher.kill('SIGTERM')
  t.equal(await fetcher.exited, 0)
})

await test('an endpoint or headers that cannot be right are told at the start, the value of a header never', async (t) => {
  const world = await createWorld(t)
  const fetcher = world.start({
    OTEL_EXPORTER_OTLP_ENDPOINT: 'localhost:4318',
    OTEL_EXPORTER_OTLP_HEADERS: 'key=hunter2, and more',
  })
  t.equal(await fetcher.exited, 2)
  const said = fetcher.lines.join('\n')
  t.match(said, /OTEL_EXPORTER_OTLP_ENDPOINT/)
  t.match(said, /OTEL_EXPORTER_OTLP_HEADERS .*write pairs of name=value/)
  t.notMatch(said, /hunter2/)
})
