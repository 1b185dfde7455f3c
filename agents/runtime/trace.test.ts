import { createServer } from 'node:http'
import { parseTraceparent } from '@aether/contract/traceparent'
import { type Test, test } from 'tap'
import { createTracer } from './trace.ts'

const parent = parseTraceparent('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01')

async function createCollector(t: Test, status = 200) {
  const bodies: string[] = []
  const headers: unknown[] = []
  let isHeld = false
  const held: (() => void)[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (piece: string) => {
      body += piece
    })
    request.on('end', () => {
      bodies.push(body)
      headers.push([request.method, request.url, request.headers['content-type'], request.headers['x-key']])
      const answer = () => response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
      if (isHeld) held.push(answer)
      else answer()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}/v1/traces`,
    bodies,
    headers,
    close: () => new Promise((resolve) => server.close(resolve)),
    hold() {
      isHeld = true
    },
    release() {
      isHeld = false
      for (const answer of held) answer()
    },
  }
}

function createSilentLog() {
  const warnings: string[] = []
  const nothing = () => {}
  const warn = (_fields: object, message: string) => void warnings.push(message)
  return { warnings, debug: nothing, info: nothing, error: nothing, marker: nothing, warn }
}

await test('a refresh is one span with its parts below it, in the trace that asked for it', async (t) => {
  const collector = await createCollector(t)
  const log = createSilentLog()
  const tracer = createTracer('aether-fetcher', { url: collector.url, headers: { 'x-key': 'k' } }, log)
  const before = Date.now()
  const from = performance.now()
  tracer.send(parent, { name: 'refresh', from, to: from + 20, attributes: { app: 'a', bytes: 7, reused: false } }, [
    { name: 'fetch', from, to: from + 10 },
    { name: 'swap', from: from + 10, to: from + 20, error: 'it did not come up' },
  ])
  await tracer.close()
  t.strictSame(collector.headers, [['POST', '/v1/traces', 'application/json', 'k']])
  const { resourceSpans } = JSON.parse(collector.bodies[0] ?? '')
  const [{ resource, scopeSpans }] = resourceSpans
  t.strictSame(resource.attributes, [{ key: 'service.name', value: { stringValue: 'aether-fetcher' } }])
  const [root, fetched, swapped] = scopeSpans[0].spans
  t.match(root, {
    traceId: parent?.traceId,
    parentSpanId: parent?.spanId,
    name: 'refresh',
    kind: 1,
    status: { code: 1 },
    attributes: [
      { key: 'app', value: { stringValue: 'a' } },
      { key: 'bytes', value: { doubleValue: 7 } },
      { key: 'reused', value: { boolValue: false } },
    ],
  })
  for (const part of [fetched, swapped]) t.match(part, { traceId: root.traceId, parentSpanId: root.spanId })
  t.not(fetched.spanId, swapped.spanId)
  t.strictSame(swapped.status, { code: 2, message: 'it did not come up' })
  const [start, end] = [BigInt(root.startTimeUnixNano), BigInt(root.endTimeUnixNano)]
  t.equal(end - start, 20_000_000n, 'nanoseconds')
  t.ok(Math.abs(Number(start / 1_000_000n) - before) < 60_000, 'of the epoch')
  t.strictSame(log.warnings, [])
})

await test('without a parent a trace of its own begins, and what is not sampled is not sent', async (t) => {
  const collector = await createCollector(t)
  const tracer = createTracer('s', { url: collector.url, headers: {} }, createSilentLog())
  const span = { name: 'refresh', from: 0, to: 1 }
  tracer.send(undefined, span, [])
  const unsampled = parseTraceparent('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00')
  tracer.send(unsampled, span, [])
  await tracer.close()
  t.equal(collector.bodies.length, 1)
  t.match(collector.bodies[0], /"traceId":"[0-9a-f]{32}","spanId":"[0-9a-f]{16}","name"/)
})

await test('a collector that is away, refuses or hangs holds nothing up, and is complained of once', async (t) => {
  const span = { name: 'refresh', from: 0, to: 1 }
  const refusing = await createCollector(t, 503)
  const gone = await createCollector(t)
  await gone.close()
  for (const { url } of [refusing, gone]) {
    const log = createSilentLog()
    const tracer = createTracer('s', { url, headers: {} }, log)
    for (let n = 0; n < 3; n++) tracer.send(undefined, span, [])
    await tracer.close()
    t.strictSame(log.warnings, ['traces do not reach the collector (said once)'])
  }
  const hanging = await createCollector(t)
  hanging.hold()
  const tracer = createTracer('s', { url: hanging.url, headers: {} }, createSilentLog())
  for (let n = 0; n < 40; n++) tracer.send(undefined, span, [])
  while (hanging.bodies.length < 16) await new Promise((resolve) => setTimeout(resolve, 5))
  hanging.release()
  await tracer.close()
  t.equal(hanging.bodies.length, 16, 'no more than that are under way')
})
