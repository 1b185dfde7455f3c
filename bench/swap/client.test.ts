// The strict client itself: servers that fail in each way are found out, and one that does not is not.
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { root } from '../processes.ts'
import { freePort } from '../release/warm-fetcher.ts'
import { openConnection } from './client/connection.ts'
import { requestsOf } from './client/counts.ts'
import { Fault, type FaultKind } from './client/fault.ts'
import { type Load, type Tally, type Work, works } from './client/protocol.ts'
import { type Client, startClient } from './client.ts'
import { startNode } from './peers.ts'
import { fullLoad, idleLoad } from './session.ts'

const line = 'test 1.0.0 7\n'
const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${line.length}\r\n\r\n${line}`
const busy = { ...idleLoad, freshEveryMs: 0, busy: 2 }

/** A server that does this with each request's socket; answers its port. */
async function serve(t: Test, handle: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => handle(socket))
  })
  return listen(t, server)
}

async function listen(t: Test, server: Server): Promise<number> {
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return port
}

/** Asks until it is enough; answers the tallies of the whole load. */
async function load(
  client: Client,
  port: number,
  what: Omit<Load, 'targets'>,
  enough: (tallies: readonly Tally[]) => boolean,
): Promise<readonly Tally[]> {
  client.start({ ...what, targets: [{ port, isTls: false }] })
  const all: Tally[] = []
  do all.push(await client.take())
  while (!enough(all))
  return [...all, await client.stop()]
}

function kinds(tallies: readonly Tally[]): readonly FaultKind[] {
  return [...new Set(tallies.flatMap(({ failed }) => failed.map(({ kind }) => kind)))]
}

function answered(tallies: readonly Tally[], work: Work): number {
  return tallies.reduce((sum, tally) => sum + tally.answered[work], 0)
}

const isFailed = (tallies: readonly Tally[]) => tallies.some(({ failedCount }) => failedCount > 0)

await test('a server that answers well fails in nothing, with every kind of work', async (t) => {
  const client = startClient()
  t.teardown(() => client.end())
  const port = await freePort()
  const folder = join(root, 'examples/apps/plain')
  const { child, stop } = startNode(['server.js'], folder, { PORT: String(port) })
  t.teardown(stop)
  // Until it listens it refuses, and that is counted.
  client.start({ ...idleLoad, targets: [{ port, isTls: false }] })
  const first = await client.seen(() => true, 20_000)
  t.match(first, { version: '1.0.0', pid: child.pid })
  t.equal(client.newestPid(), child.pid)
  await client.stop()

  const tallies = await load(client, port, fullLoad, (all) => works.every((work) => answered(all, work) > 0))
  t.strictSame(kinds(tallies), [])
  t.ok(tallies.some(({ p50Ms, p99Ms, longestMs }) => p50Ms > 0 && p99Ms >= p50Ms && longestMs > 0))
  t.ok(tallies.some(({ connects, longestConnectMs }) => connects >= 48 && longestConnectMs > 0))
})

await test('each way to fail is found out and named', async (t) => {
  const client = startClient()
  t.teardown(() => client.end())
  const cases: readonly (readonly [string, FaultKind, (socket: Socket) => void])[] = [
    ['a reset instead of an answer', 'reset', (socket) => socket.resetAndDestroy()],
    ['an end instead of an answer', 'reset', (socket) => socket.end()],
    [
      'a reset within an answer',
      'truncated',
      (socket) => socket.write(answer.slice(0, -3), () => setTimeout(() => socket.resetAndDestroy(), 20)),
    ],
    ['an end within a length', 'truncated', (socket) => socket.end(answer.slice(0, -1))],
    ['an end within a head', 'truncated', (socket) => socket.end(answer.slice(0, 20))],
    [
      'an end before the last chunk',
      'truncated',
      (socket) => socket.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n${line}\r\n`),
    ],
    ['a 500', 'status', (socket) => socket.write(answer.replace('200 OK', '500 Oh'))],
    ['a 302', 'status', (socket) => socket.write(answer.replace('200 OK', '302 There'))],
    ['something else than HTTP', 'malformed', (socket) => socket.write('hello\r\n\r\n')],
    ['a body that ends with the connection', 'malformed', (socket) => socket.end(`HTTP/1.1 200 OK\r\n\r\n${line}`)],
    ['two answers for one request', 'malformed', (socket) => socket.write(answer + answer)],
    ["another body than an answer's line", 'malformed', (socket) => socket.write(answer.replace('test', 't  t'))],
  ]
  for (const [name, kind, handle] of cases) {
    const port = await serve(t, handle)
    for (const what of [busy, idleLoad]) t.strictSame(kinds(await load(client, port, what, isFailed)), [kind], name)
  }
  t.strictSame(kinds(await load(client, await freePort(), fullLoad, isFailed)), ['refused'], 'nobody listens')
})

await test('one failure among many good answers is counted once', async (t) => {
  const client = startClient()
  t.teardown(() => client.end())
  let requests = 0
  const port = await serve(t, (socket) => {
    requests++
    if (requests === 500) socket.resetAndDestroy()
    else socket.write(answer)
  })
  const tallies = await load(client, port, busy, () => requests > 600)
  t.equal(
    tallies.reduce((sum, { failedCount }) => sum + failedCount, 0),
    1,
  )
  t.match(
    tallies.flatMap(({ failed }) => failed),
    [{ kind: 'reset', work: 'busy', openedAtMs: Number }],
  )
  t.equal(
    tallies.reduce((sum, tally) => sum + requestsOf(tally), 0),
    requests,
    'every request is counted',
  )
})

await test('a keep-alive connection may be closed while nothing is asked on it, and announced closes are no failures', async (t) => {
  const client = startClient()
  t.teardown(() => client.end())
  const idle = await serve(t, (socket) => {
    socket.write(answer)
    setTimeout(() => socket.end(), 5)
  })
  const calm = { ...idleLoad, freshEveryMs: 0, calm: 8 }
  const closed = await load(client, idle, calm, (all) => all.some(({ closedIdle }) => closedIdle > 0))
  t.ok(answered(closed, 'calm') > 0)
  // The client may have asked at the same moment: that is a failure, and no other kind of one.
  t.ok(kinds(closed).every((kind) => kind === 'reset'))

  const last = await serve(t, (socket) => socket.end(answer.replace('\r\n', '\r\nConnection: close\r\n')))
  const announced = await load(client, last, busy, (all) => answered(all, 'busy') > 20)
  t.strictSame(kinds(announced), [])
  t.ok(announced.every(({ closedIdle }) => closedIdle === 0))
})

await test('an upload that the app took a part of has failed', async (t) => {
  const client = startClient()
  t.teardown(() => client.end())
  const server = createHttpServer((request, response) => {
    request.resume().on('end', () => response.end('test 1.0.0 7 1000\n'))
  })
  const port = await listen(t, server)
  const uploads = { ...idleLoad, freshEveryMs: 0, uploads: 1 }
  t.strictSame(kinds(await load(client, port, uploads, isFailed)), ['truncated'])
  server.closeAllConnections()
})

await test('an answer that does not come is a timeout, and a late one is whole', async (t) => {
  const silent = await serve(t, () => {})
  const connection = await openConnection({ port: silent, isTls: false }, 50)
  await t.rejects(connection.ask(Buffer.from('GET / HTTP/1.1\r\n\r\n')), new Fault('timeout', 'nothing came for 50 ms'))
  t.notOk(connection.isOpen())

  // In pieces, cut at every place where a reader could stumble.
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ntest \r\n8\r\n1.0.0 7\n\r\n0\r\n\r\n'
  const dripping = await serve(t, (socket) => {
    const drip = (at: number) =>
      socket.write(chunked.charAt(at), () => at < chunked.length && setImmediate(drip, at + 1))
    drip(0)
  })
  const patient = await openConnection({ port: dripping, isTls: false })
  t.strictSame(await patient.ask(Buffer.from('GET / HTTP/1.1\r\n\r\n')), { status: 200, body: line, isLast: false })
  patient.close()
})
