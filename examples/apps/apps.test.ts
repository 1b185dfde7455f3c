// Each app is what README.md says of it, so that a test that uses one tests what it means to.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type RequestOptions, request as requestHttp } from 'node:http'
import { connect } from 'node:http2'
import { request as requestHttps } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, test } from 'tap'

const here = import.meta.dirname
const patienceMs = 20_000

/** By env(1), because tap puts its loaders into the environment of whatever is spawned here. */
function start(t: Test, name: string, env: Readonly<Record<string, string>>, file = 'server.js'): ChildProcess {
  const variables = Object.entries({ PATH: process.env.PATH ?? '', ...env }).map(([key, value]) => `${key}=${value}`)
  const child = spawn('env', ['-i', ...variables, process.execPath, file], {
    cwd: join(here, name),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  })
  return child
}

/** A port that is free, below those that the kernel gives to clients (ip_local_port_range): no connection takes it meanwhile. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(14_000, 30_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, () => resolve(true))
    })
    if (!isFree) continue
    await new Promise<void>((resolve) => server.close(() => resolve()))
    return port
  }
}

/** Status and body; asked again until somebody listens. */
async function ask(options: RequestOptions, send?: Buffer): Promise<string> {
  const until = performance.now() + patienceMs
  for (;;) {
    try {
      return await askOnce(options, send)
    } catch (error) {
      if (performance.now() > until) throw error
      await sleep(10)
    }
  }
}

function askOnce(options: RequestOptions, send?: Buffer): Promise<string> {
  const request = options.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    const asked = request({ agent: false, method: send === undefined ? 'GET' : 'POST', ...options }, (response) => {
      text(response).then((body) => resolve(`${response.statusCode} ${body}`), reject)
    })
    asked.on('error', reject)
    asked.end(send)
  })
}

async function eventually(what: string, holds: () => boolean): Promise<void> {
  const until = performance.now() + patienceMs
  while (!holds()) {
    if (performance.now() > until) throw new Error(`waited in vain for ${what}`)
    await sleep(10)
  }
}

const line = (name: string, { pid }: ChildProcess) => `200 ${name} 1.0.0 ${pid}\n`

await test('those that listen on PORT answer with their line', async (t) => {
  for (const [name, file] of [
    ['commonjs'],
    ['typescript', 'server.ts'],
    ['koa'],
    ['websocket'],
    ['graceful'],
    ['crash-later'],
    ['custom-server'],
  ] as const) {
    const port = await freePort()
    const child = start(t, name, { PORT: String(port) }, file)
    t.equal(await ask({ port }), line(name, child))
  }
})

await test('those of the bench answer slowly, in pieces, and after an upload too', async (t) => {
  const [key, cert] = [join(t.testdir(), 'key.pem'), join(t.testdirName, 'cert.pem')]
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', [...made, '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' })
  for (const name of ['plain', 'express', 'fastify', 'https', 'ports']) {
    const [port, admin] = [await freePort(), await freePort()]
    const env = { PORT: String(port), ADMIN_PORT: String(admin), KEY_FILE: key, CERT_FILE: cert }
    const child = start(t, name, env)
    const ours = name === 'https' ? { port, protocol: 'https:', rejectUnauthorized: false } : { port }
    t.equal(await ask(ours), line(name, child))
    t.equal(await ask({ ...ours, path: '/slow?ms=5' }), line(name, child))
    const pieces = Array.from({ length: 10 }, (_, at) => `piece ${at}\n`).join('')
    t.equal(await ask({ ...ours, path: '/stream?ms=20' }), `200 ${pieces}${name} 1.0.0 ${child.pid}\n`)
    const bytes = Buffer.alloc(200_000)
    const upload = { ...ours, path: '/upload', headers: { 'content-type': 'application/octet-stream' } }
    t.equal(await ask(upload, bytes), `200 ${name} 1.0.0 ${child.pid} 200000\n`)
    if (name === 'ports') t.equal(await ask({ port: admin }), line(name, child))
  }
})

await test('those that listen in another way are reached in it', async (t) => {
  // Short: a path of a socket has at most 107 bytes (unix(7)).
  const folder = mkdtempSync(join(tmpdir(), 'aether-apps-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const socketPath = join(folder, 'app.sock')
  const unix = start(t, 'unix-socket', { SOCKET: socketPath })
  t.equal(await ask({ socketPath }), line('unix-socket', unix))

  const port = await freePort()
  const clustered = start(t, 'cluster', { PORT: String(port) })
  t.match(await ask({ port }), /^200 cluster 1\.0\.0 \d+\n$/)
  t.not(await ask({ port }), line('cluster', clustered), 'a worker answers')
  clustered.kill('SIGTERM')

  for (const name of ['fork', 'sticky']) {
    const shared = await freePort()
    const parent = start(t, name, { PORT: String(shared) })
    const answer = await ask({ port: shared })
    t.match(answer, new RegExp(`^200 ${name} 1\\.0\\.0 \\d+\n$`))
    t.not(answer, line(name, parent), 'a process that it forked answers')
    // Those that it forked end when their channel does.
    parent.kill('SIGTERM')
  }

  const h2 = await freePort()
  const streaming = start(t, 'http2', { PORT: String(h2) })
  await eventually('the port', () => isListening(h2))
  const session = connect(`http://127.0.0.1:${h2}`)
  t.equal(`200 ${await text(session.request({ ':path': '/slow?ms=5' }))}`, line('http2', streaming))
  session.close()

  const ws = await freePort()
  const echoing = start(t, 'websocket', { PORT: String(ws) })
  await eventually('the port', () => isListening(ws))
  const socket = new WebSocket(`ws://127.0.0.1:${ws}`)
  socket.addEventListener('open', () => socket.send('hello'))
  const data = await new Promise((resolve) => socket.addEventListener('message', (event) => resolve(event.data)))
  t.equal(data, `websocket 1.0.0 ${echoing.pid} hello`)
  socket.close()
})

await test('those that are ready, alone or told to end in their own way', async (t) => {
  const port = await freePort()
  start(t, 'says-ready', { PORT: String(port) })
  t.match(await ask({ port }), /^503 /)
  while ((await ask({ port })).startsWith('503')) await sleep(20)
  t.match(await ask({ port }), /^200 says-ready /)

  const graceful = await freePort()
  const closing = start(t, 'graceful', { PORT: String(graceful) })
  await ask({ port: graceful })
  const slow = ask({ port: graceful, path: '/slow?ms=200' })
  await sleep(50)
  closing.kill('SIGTERM')
  t.equal(await slow, line('graceful', closing))
  if (closing.exitCode === null) await once(closing, 'exit')
  t.equal(closing.exitCode, 0)

  const lock = { PORT: String(await freePort()), LOCK_FILE: join(t.testdir(), 'lock') }
  const holder = start(t, 'lock', lock)
  t.equal(await ask({ port: Number(lock.PORT) }), line('lock', holder))
  const second = start(t, 'lock', { ...lock, PORT: String(await freePort()) })
  t.strictSame(await once(second, 'exit'), [1, null])
  const released = once(holder, 'exit')
  holder.kill('SIGKILL')
  await released
  const third = start(t, 'lock', lock)
  t.equal(await ask({ port: Number(lock.PORT) }), line('lock', third), 'who was killed holds nothing')
})

await test('those without a port, with a hook, and those that fail', async (t) => {
  const notes = join(t.testdir(), 'notes')
  const noted = () => (existsSync(notes) ? readFileSync(notes, 'utf8') : '')
  const worker = start(t, 'worker', { NOTES: notes }, 'worker.js')
  await eventually('the note', () => noted().includes(`worker 1.0.0 ${worker.pid}\n`))
  worker.kill('SIGKILL')
  await once(worker, 'exit')

  writeFileSync(notes, '')
  t.strictSame(await once(start(t, 'before-serve', { NOTES: notes }, 'migrate.js'), 'exit'), [0, null])
  t.strictSame(await once(start(t, 'before-serve', { BEFORE_SERVE: 'fail' }, 'migrate.js'), 'exit'), [1, null])
  const port = await freePort()
  const served = start(t, 'before-serve', { NOTES: notes, PORT: String(port) })
  t.equal(await ask({ port }), line('before-serve', served))
  t.equal(noted(), 'migrated 1.0.0\nlistens 1.0.0\n')

  t.strictSame(await once(start(t, 'crash-at-start', {}), 'exit'), [1, null])
  t.strictSame(await once(start(t, 'crash-later', { PORT: String(await freePort()) }), 'exit'), [1, null])
  const deaf = await freePort()
  const never = start(t, 'never-listens', { PORT: String(deaf) })
  await sleep(300)
  t.equal(never.exitCode, null)
  t.notOk(isListening(deaf))
})

await test('README.md has every app, and package.json starts a file that is there', (t) => {
  const readme = readFileSync(join(here, 'README.md'), 'utf8')
  for (const { name } of readdirSync(here, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    t.ok(readme.includes(`\`${name}\``), `README.md has ${name}`)
    const manifest: { scripts: { start: string } } = JSON.parse(readFileSync(join(here, name, 'package.json'), 'utf8'))
    t.ok(existsSync(join(here, name, manifest.scripts.start.replace('node ', ''))), `${name} has its file`)
  }
  t.end()
})

/** By the kernel's tables (proc_net_tcp(5)), so that nobody has to be connected to. */
function isListening(port: number): boolean {
  const row = new RegExp(
    `^ *\\d+: [0-9A-F]+:${port.toString(16).toUpperCase().padStart(4, '0')} [0-9A-F]+:0000 0A `,
    'm',
  )
  return ['/proc/net/tcp', '/proc/net/tcp6'].some((table) => row.test(readFileSync(table, 'utf8')))
}
