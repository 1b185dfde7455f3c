// What a collector gets of a real fetcher's refreshes.
import { createServer } from 'node:http'
import { annotations } from '@aether/contract/annotations'
import { eventually } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { createWorld } from './test-kit.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parent = '00f067aa0ba902b7'

interface Told {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly status: { readonly code: number; readonly message?: string }
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
    ['event', 'verify', 'fetch', 'activate'],
  )
  for (const stage of stages) t.match(stage, { traceId, parentSpanId: root?.spanId ?? '' })
  const times = stages.flatMap((stage) => [BigInt(stage.startTimeUnixNano), BigInt(stage.endTimeUnixNano)])
  t.strictSame(
    times,
    times.toSorted((a, b) => (a < b ? -1 : 1)),
    'one after the other',
  )
  t.match(bad, [{ traceId, parentSpanId: parent, status: { code: 2, message: /signature does not hold/ } }])
  t.equal(bad.length, 1)
  t.not(own[0]?.traceId, traceId, 'without the annotation a trace of its own')
  t.equal(own[0]?.parentSpanId, undefined)
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
