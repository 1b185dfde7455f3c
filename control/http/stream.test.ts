// What only shows on real sockets: bodies that break off, are too long or refused, readers that are slow, and the end.
import { readdirSync } from 'node:fs'
import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { Client } from 'undici'
import { digestOf, openControl } from '../test-kit.ts'

const mebibyte = 1024 * 1024

async function listen(t: Test, options: Parameters<typeof openControl>[1] = {}) {
  const control = await openControl(t, options)
  const url = await control.instance.listen({ host: '127.0.0.1', port: 0 })
  const { hostname, port } = new URL(url)
  const headersFor = (digest: string, more: Record<string, string> = {}) => ({
    authorization: `Bearer ${control.tokens.get('uploader')}`,
    'content-type': 'application/gzip',
    'aether-app': control.app,
    'aether-digest': digest,
    ...more,
  })
  const staged = () => readdirSync(join(control.folder, 'artifacts/staging'))
  return { ...control, url, host: hostname, port: Number(port), headersFor, staged }
}

/** Sends the head; the caller writes the body. */
function begin(options: RequestOptions) {
  const sending = httpRequest(options)
  sending.on('error', () => {}) // the answer, or its absence, is what is looked at
  sending.flushHeaders()
  const answered = new Promise<IncomingMessage>((resolve) => sending.once('response', resolve))
  return { sending, answered }
}

async function readJson(answer: IncomingMessage): Promise<unknown> {
  return JSON.parse(Buffer.concat(await answer.toArray()).toString())
}

await test('an upload that breaks off leaves nothing behind, and can be sent again', async (t) => {
  const { ask, upload, host, port, headersFor, staged, logged } = await listen(t)
  const bytes = Buffer.alloc(mebibyte, 'a')
  for (const headers of [
    headersFor(digestOf(bytes), { 'content-length': String(bytes.length) }),
    headersFor(digestOf(bytes)),
  ]) {
    const before = logged.length
    const { sending } = begin({ host, port, method: 'POST', path: '/artifacts', headers })
    sending.write(bytes.subarray(0, 300_000))
    await eventually('the first bytes', () => staged().length > 0)
    sending.destroy()
    await eventually('its end', () => logged.slice(before).some(({ message }) => message === 'answered'))
    await eventually('an empty staging', () => staged().length === 0)
    t.equal((await ask('HEAD', `/artifacts/${digestOf(bytes)}`)).status, 404)
  }
  t.equal((await upload(bytes)).status, 201)
})

await test('a client that ends before its content-length is told so', async (t) => {
  const { host, port, headersFor, staged } = await listen(t)
  const head = Object.entries({ host: 'x', ...headersFor(digestOf(Buffer.from('x'))), 'content-length': '1000' })
  const socket = connect({ host, port, allowHalfOpen: true })
  socket.write(`POST /artifacts HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\nhalf`)
  await eventually('the upload', () => staged().length > 0)
  socket.end()
  const text = Buffer.concat(await socket.toArray()).toString()
  t.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/)
  t.match(text, 'application/problem+json')
  await eventually('an empty staging', () => staged().length === 0)
})

await test('what is too large is refused by its length at once, and in chunks as soon as it is', async (t) => {
  const { url, host, port, headersFor, staged } = await listen(t, { maxArtifactBytes: mebibyte })
  const digest = `sha256:${'0'.repeat(64)}`
  const client = new Client(url)
  t.teardown(() => client.close())
  const chunks = function* () {
    for (let sent = 0; sent < 20; sent++) yield Buffer.alloc(mebibyte)
  }
  const ask = async (headers: Record<string, string>) => {
    const body = Readable.from(chunks())
    const { statusCode, body: answer } = await client.request({ method: 'POST', path: '/artifacts', headers, body })
    return { statusCode, json: await answer.json() }
  }
  for (const headers of [headersFor(digest, { 'content-length': String(20 * mebibyte) }), headersFor(digest)])
    t.match(await ask(headers), { statusCode: 413, json: { code: 'too_large' } })
  t.strictSame(staged(), [])

  const { sending, answered } = begin({
    host,
    port,
    method: 'POST',
    path: '/artifacts',
    headers: headersFor(digest, { 'content-length': String(20 * mebibyte) }),
  })
  t.match(await readJson(await answered), { code: 'too_large', field: 'content-length' }, 'before a byte was sent')
  sending.destroy()
})

await test('a refused client sees the answer while it sends, keeps its connection, and cannot send for ever', async (t) => {
  const { host, port, headersFor, tokens } = await listen(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const headers = headersFor(digestOf(Buffer.from('x')), {
    'aether-app': 'nobody',
    'content-length': String(8 * mebibyte),
  })
  const { sending, answered } = begin({ host, port, agent, method: 'POST', path: '/artifacts', headers })
  sending.write(Buffer.alloc(mebibyte))
  t.match(await readJson(await answered), { code: 'unknown_app' })
  const { localPort } = sending.socket ?? {}
  sending.end(Buffer.alloc(7 * mebibyte))
  await eventually('a free connection', () => Object.keys(agent.freeSockets).length === 1)
  const again = begin({
    host,
    port,
    agent,
    path: '/apps',
    headers: { authorization: `Bearer ${tokens.get('reader')}` },
  })
  again.sending.end()
  t.match((await again.answered).statusCode, 200)
  t.equal(again.sending.socket?.localPort, localPort, 'on the same connection')

  const endless = connect({ host, port })
  endless.on('error', () => {})
  const head = Object.entries({ host: 'x', ...headersFor(digestOf(Buffer.from('x')), { 'aether-app': 'nobody' }) })
  endless.write(`POST /artifacts HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}`)
  endless.write('transfer-encoding: chunked\r\n\r\n')
  let answer = ''
  endless.on('data', (data) => (answer += data.toString()))
  await eventually('the answer', () => answer.includes('unknown_app'))
  let sent = 0
  const closed = new Promise((resolve) => endless.once('close', resolve))
  for (; sent < 4096 && !endless.destroyed; sent++) {
    endless.write('100000\r\n')
    endless.write(Buffer.alloc(mebibyte))
    if (!endless.write('\r\n')) await Promise.race([closed, new Promise((resolve) => endless.once('drain', resolve))])
  }
  t.ok(endless.destroyed && sent >= 32, `closed after ${sent} MiB`)
})

await test('a client that asks first is told to go on, or refused without a byte', async (t) => {
  const { host, port, headersFor } = await listen(t)
  const bytes = Buffer.from('asked first')
  const ask = async (app: Record<string, string>) => {
    const headers = headersFor(digestOf(bytes), {
      expect: '100-continue',
      'content-length': String(bytes.length),
      ...app,
    })
    const { sending, answered } = begin({ host, port, method: 'POST', path: '/artifacts', headers })
    let isContinued = false
    sending.once('continue', () => {
      isContinued = true
      sending.end(bytes)
    })
    const answer = await answered
    return {
      isContinued,
      status: answer.statusCode,
      connection: answer.headers.connection,
      json: await readJson(answer),
    }
  }
  t.match(await ask({}), { isContinued: true, status: 201, json: { bytes: bytes.length } })
  t.match(await ask({ 'aether-app': 'nobody' }), { isContinued: false, status: 404, connection: 'close' })
  t.match(await ask({ authorization: 'Bearer nobody' }), { isContinued: false, status: 401, connection: 'close' })
})

await test('a slow reader holds the artifact back, and one that leaves ends it', async (t) => {
  const { host, port, upload, tokens, registry, logged } = await listen(t)
  const bytes = Buffer.alloc(64 * mebibyte, 'slow')
  t.equal((await upload(bytes)).status, 201)
  const headers = { authorization: `Bearer ${tokens.get('reader')}` }
  const { sending, answered } = begin({ host, port, path: `/artifacts/${digestOf(bytes)}`, headers })
  sending.end()
  const answer = await answered
  const given = async () => Number(/^aether_artifact_download_bytes_total (\d+)$/m.exec(await registry.metrics())?.[1])
  let [last, now] = [-1, 0]
  await eventually('the server to wait', async () => {
    await sleep(50)
    ;[last, now] = [now, await given()]
    return now > 0 && now === last
  })
  t.ok(now < bytes.length / 2, `${now} bytes went out to a reader that does not read`)
  answer.destroy()
  await eventually('its end in the log', () =>
    logged.some(({ fields }) => fields.route === '/artifacts/:digest' && fields.status === '499'),
  )
})

await test('a close lets what is under way finish, and takes nothing new on old connections', async (t) => {
  const { instance, host, port, headersFor, logged } = await listen(t)
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const idle = begin({ host, port, agent, path: '/healthz' })
  idle.sending.end()
  await readJson(await idle.answered)
  const bytes = Buffer.from('the last one')
  const headers = headersFor(digestOf(bytes), { 'content-length': String(bytes.length) })
  const { sending, answered } = begin({ host, port, method: 'POST', path: '/artifacts', headers })
  sending.write(bytes.subarray(0, 3))
  await eventually('an idle connection', () => Object.keys(agent.freeSockets).length === 1)
  await sleep(50)
  let isClosed = false
  const closing = instance.close().then(() => {
    isClosed = true
  })
  await eventually('the idle connection to go', () => Object.keys(agent.freeSockets).length === 0)
  t.notOk(isClosed)
  sending.end(bytes.subarray(3))
  const answer = await answered
  t.match({ status: answer.statusCode, connection: answer.headers.connection }, { status: 201, connection: 'close' })
  t.match(await readJson(answer), { bytes: bytes.length })
  await closing
  t.notOk(logged.some(({ level }) => level === 'error'))
})

await test('an upload that is cut at the end is over before the close is', async (t) => {
  const { instance, host, port, headersFor, staged, audited } = await listen(t)
  const headers = headersFor(digestOf(Buffer.from('x')), { 'content-length': '1000' })
  const { sending } = begin({ host, port, method: 'POST', path: '/artifacts', headers })
  sending.write('half')
  await eventually('the upload', () => staged().length === 1)
  const closing = instance.close()
  instance.server.closeAllConnections()
  await closing
  t.match(audited.at(-1), { action: 'uploadArtifact', outcome: 'truncated' })
  t.strictSame(staged(), [])
})

await test('what is no HTTP is answered by a problem too', async (t) => {
  const { host, port } = await listen(t)
  for (const text of [
    'GET / HTTP/1.1\r\nno colon\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    `GET / HTTP/1.1\r\nhost: x\r\nlong: ${'x'.repeat(40_000)}\r\n\r\n`,
    'nonsense\r\n\r\n',
  ]) {
    const socket = connect({ host, port })
    socket.write(text)
    let answer = ''
    socket.on('data', (data) => (answer += data.toString())).on('error', () => {})
    await eventually('a problem', () => answer.includes('"code":"malformed"'))
    t.match(
      answer,
      /^HTTP\/1\.1 400 Bad Request\r\n[^]*application\/problem\+json[^]*"request_id":"/,
      text.slice(0, 40),
    )
    socket.destroy()
  }
})
