// What is under way when one process gives way to the next: it is finished by the one that began it.
import { Agent, type IncomingMessage, request } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { ask } from './test-client.ts'
import { certificate, createWorkspace } from './test-kit.ts'

/** `/slow` answers after 600 ms, `/slower` after twice that, `/stream` sends an event each 100 ms for a second, `/endless` for ever, a POST answers with the length of what came. */
const app = (version: string) => `import { createServer } from 'node:http'
import { appendFileSync } from 'node:fs'
process.on('SIGTERM', () => { appendFileSync(process.env.NOTES, 'term ${version}\\n'); process.exit(0) })
const server = createServer(async (request, response) => {
  if (request.url === '/slow' || request.url === '/slower') {
    setTimeout(() => response.end('slow ${version}'), request.url === '/slow' ? 600 : 1200)
  } else if (request.url === '/stream' || request.url === '/endless') {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const timer = setInterval(() => response.write('data: ${version}\\n\\n'), 100)
    if (request.url === '/stream') setTimeout(() => { clearInterval(timer); response.end('data: end ${version}\\n\\n') }, 1000)
  } else if (request.method === 'POST') {
    let length = 0
    for await (const piece of request) length += piece.length
    response.end('${version} ' + length)
  } else response.end('${version}')
})
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nupgrade: websocket\\r\\nconnection: Upgrade\\r\\n\\r\\n')
  socket.on('data', (frame) => { if ((frame[0] & 15) === 8) socket.end() })
  socket.on('error', () => {})
})
server.listen(process.env.PORT)
`

/** The first release serves, the second is there. */
async function twoReleases(t: Test, env: Readonly<Record<string, string>> = {}, source = app) {
  const world = await createWorkspace(t, env)
  const supervisor = world.start()
  const [one, two] = [world.release('a', source('one')), world.release('b', source('two'))]
  await world.verdict(world.activate(one), 'ok')
  return {
    ...world,
    supervisor,
    url: `http://127.0.0.1:${world.port}`,
    swap: () => world.verdict(world.activate(two), 'ok'),
  }
}

await test('slow answers, uploads and event streams in flight are finished by the process that began them', async (t) => {
  const { url, swap, notes, metrics } = await twoReleases(t)
  const slow = ask(`${url}/slow`)
  const stream = ask(`${url}/stream`)
  const sending = request(url, { method: 'POST' })
  const uploaded = new Promise<string>((resolve, reject) => {
    sending.on('error', reject).on('response', (response: IncomingMessage) => {
      response.setEncoding('utf8').on('data', resolve)
      t.equal(response.headers.connection, 'close')
    })
  })
  sending.write('x'.repeat(1000))
  await sleep(100)
  await swap()
  t.equal(await ask(url), 'two', 'the new one answers beside them')
  t.same(notes(), [], 'and the old one was not asked to end')
  sending.write('x'.repeat(1000))
  await sleep(200)
  sending.end('x'.repeat(1000))
  t.equal(await uploaded, 'one 3000')
  t.equal(await slow, 'slow one')
  t.match(await stream, /^(data: one\n\n)+data: end one\n\n$/)
  await eventually('the end of the old one', () => notes().length === 1)
  t.match(await metrics(), /aether_drain_requests_sum 3\n/)
  t.match(await metrics(), /aether_drain_timeouts_total 0\n/)
})

await test('requests that were sent at once on one connection are all answered, and the last answer ends it', async (t) => {
  const { url, port, swap } = await twoReleases(t)
  const socket = connect({ port, host: '127.0.0.1' })
  let got = ''
  socket.setEncoding('utf8').on('data', (piece: string) => {
    got += piece
  })
  const ended = new Promise((resolve) => socket.once('end', resolve))
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: app\r\n\r\n`
  // The last is not written yet when the first is done: what is written cannot say any more that it ends the connection.
  socket.write(get('/slow') + get('/') + get('/slower'))
  await sleep(100)
  await swap()
  t.equal(await ask(url), 'two')
  await ended
  const answers = got.split('HTTP/1.1 200 OK').slice(1)
  t.same(
    answers.map((one) => [/connection: (\S+)/i.exec(one)?.[1], one.slice(one.indexOf('\r\n\r\n') + 4)]),
    [
      ['keep-alive', 'slow one'],
      ['keep-alive', 'one'],
      ['close', 'slow one'],
    ],
  )
})

await test('a server on a port of no name is drained too, and one that plain TCP hands its connections to', async (t) => {
  const source = (version: string) => `import { createServer } from 'node:http'
import { createServer as createTcp } from 'node:net'
import { appendFileSync } from 'node:fs'
const slowly = (request, response) => setTimeout(() => response.end('slow ${version}'), 600)
const side = createServer(slowly).listen(0, '127.0.0.1')
const within = createServer(slowly)
const tcp = createTcp((socket) => within.emit('connection', socket)).listen(0, '127.0.0.1')
process.on('SIGTERM', () => { appendFileSync(process.env.NOTES, 'term ${version}\\n'); process.exit(0) })
createServer((request, response) => {
  response.end(request.url === '/ports' ? [side.address().port, tcp.address().port].join() : '${version}')
}).listen(process.env.PORT)
`
  const { url, swap, notes } = await twoReleases(t, {}, source)
  for (let asked = 0; asked < 3; asked++) await ask(url)
  const ports = (await ask(`${url}/ports`)).split(',')
  const slow = Promise.all(ports.map((port) => ask(`http://127.0.0.1:${port}`)))
  await sleep(100)
  await swap()
  t.equal(await ask(url), 'two')
  t.same(notes(), [], 'the old one is not asked to end')
  t.same(await slow, ['slow one', 'slow one'])
  await eventually('the end of the old one', () => notes().length === 1)
})

await test('an app that says keep-alive itself loses its connections to the next process all the same', async (t) => {
  const source = (version: string) => `import { createServer } from 'node:http'
createServer((request, response) => {
  if (request.url === '/head') response.writeHead(200, { Connection: 'keep-alive' })
  else response.setHeader('connection', 'keep-alive')
  response.end('${version}')
}).listen(process.env.PORT)
`
  const { url, swap } = await twoReleases(t, {}, source)
  for (const path of ['/head', '/set']) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    const answers = path === '/head' ? ['one', 'one', 'two'] : ['two', 'two', 'two']
    t.equal(await ask(url + path, agent), answers[0])
    if (path === '/head') await swap()
    t.equal(await ask(url + path, agent), answers[1], 'the last one on the connection that was open')
    t.equal(await ask(url + path, agent), answers[2])
  }
})

await test('at the end of the pod, what is under way is finished before SIGTERM', async (t) => {
  const { url, notes, supervisor } = await twoReleases(t, { AETHER_DRAIN_MAX_MS: '100' })
  const slow = ask(`${url}/slow`)
  const stream = ask(`${url}/stream`)
  await sleep(50)
  supervisor.kill('SIGTERM')
  t.equal(await ask(url), 'one', 'it answers until the load balancers know')
  t.equal(await slow, 'slow one')
  t.match(await stream, /end one/)
  t.equal(await supervisor.exited, 0)
  t.same(notes(), ['term one'])
})

await test('a stream that goes on for longer than the limit is cut there', async (t) => {
  const { url, swap, notes, metrics } = await twoReleases(t, { AETHER_DRAIN_LIMIT_MS: '300' })
  const stream = ask(`${url}/endless`)
  stream.catch(() => undefined)
  await sleep(50)
  await swap()
  await t.rejects(stream)
  await eventually('the end of the old one', () => notes().length === 1)
  t.match(await metrics(), /aether_drain_timeouts_total 1\n/)
})

await test('a WebSocket is sent a close frame', async (t) => {
  const { port, swap, notes } = await twoReleases(t)
  const socket = connect(port, '127.0.0.1')
  const pieces: Buffer[] = []
  socket.on('data', (piece: Buffer) => pieces.push(piece))
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.write('GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n')
  await eventually('the upgrade', () => pieces.length > 0)
  await swap()
  await eventually('the close frame', () => Buffer.concat(pieces).includes(Buffer.from([0x88, 2, 0x03, 0xe9])))
  socket.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]))
  await closed
  await eventually('the end of the old one', () => notes().length === 1)
})

await test('clients of the package ws are told 1001 and meet the new process when they come back', async (t) => {
  const source = (version: string) => `import { createServer } from 'node:http'
import { appendFileSync } from 'node:fs'
import { WebSocketServer } from 'ws'
const server = createServer((request, response) => response.end('${version}'))
new WebSocketServer({ server }).on('connection', (socket) => {
  socket.send('hello from ${version}')
  socket.on('close', (code) => appendFileSync(process.env.NOTES, 'closed ' + code + '\\n'))
})
server.listen(process.env.PORT)
`
  const { port, swap, notes } = await twoReleases(t, {}, source)
  const open = () => {
    const seen: string[] = []
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
    socket.addEventListener('message', ({ data }) => seen.push(String(data)))
    socket.addEventListener('close', ({ code, wasClean }) => seen.push(`${code} ${wasClean}`))
    return { seen, close: () => socket.close() }
  }
  const first = open()
  await eventually('the greeting', () => first.seen.length === 1)
  await swap()
  await eventually('the end', () => first.seen.length === 2)
  t.same(first.seen, ['hello from one', '1001 true'])
  const second = open()
  await eventually('the greeting', () => second.seen.length === 1)
  t.same(second.seen, ['hello from two'])
  await eventually("the server's own end of it", () => notes().length === 1)
  t.same(notes(), ['closed 1001'])
  second.close()
})

await test('HTTP/2 over TLS is told GOAWAY, its streams are finished, and the next session meets the new process', async (t) => {
  const pair = `{ ${certificate(testFolder(t))}, allowHTTP1: true }`
  const secure = (version: string) => `import { createSecureServer } from 'node:http2'
createSecureServer(${pair}, (request, response) => setTimeout(() => response.end('${version}'), request.url === '/slow' ? 600 : 0))
  .listen(process.env.PORT)
`
  const { port, swap } = await twoReleases(t, { AETHER_READY_PATH: '/' }, secure)
  const open = () => connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
  const first = open()
  let wentAway = false
  first.on('goaway', () => {
    wentAway = true
  })
  const get = async (session: ReturnType<typeof open>, path: string) => {
    let body = ''
    for await (const piece of session.request({ ':path': path }).setEncoding('utf8')) body += String(piece)
    return body
  }
  t.equal(await get(first, '/'), 'one')
  const slow = get(first, '/slow')
  await sleep(100)
  await swap()
  t.equal(await slow, 'one')
  await eventually('GOAWAY', () => wentAway)
  const second = open()
  t.equal(await get(second, '/'), 'two')
  second.close()
})
