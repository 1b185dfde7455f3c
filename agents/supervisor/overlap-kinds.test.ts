// The strategy overlap with apps that are more than one process on one port: unix sockets, clusters, forks.
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { ask, startLoad } from './test-client.ts'
import { createWorkspace, processesBelow } from './test-kit.ts'
import { swaps, swapUnderLoad } from './test-swaps.ts'

/** Whether the process has a socket that listens on the port (proc(5)). */
function holdsPort(pid: number, port: number): boolean {
  const listening = new RegExp(
    `:${port.toString(16).toUpperCase().padStart(4, '0')} [0-9A-F]+:0000 0A(?: +\\S+){5} +(\\d+)`,
  )
  const table = readFileSync(`/proc/${pid}/net/tcp6`, 'utf8') + readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
  const socket = `socket:[${listening.exec(table)?.[1]}]`
  return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === socket)
}

/** As most do: what is at the path is removed before, and at the end. This one looks first whether it is free. */
const onUnixSocket = (version: string) => `import { once } from 'node:events'
import { appendFileSync, rmSync, unlinkSync } from 'node:fs'
import { createServer } from 'node:http'
const { SOCKET, NOTES } = process.env
rmSync(SOCKET, { force: true })
const probe = createServer().listen(SOCKET)
await once(probe, 'listening')
await new Promise((resolve) => probe.close(resolve))
const server = createServer((request, response) => response.end(JSON.stringify({ version: '${version}' })))
server.listen({ path: SOCKET, readableAll: true, writableAll: true }, () => appendFileSync(NOTES, 'at ' + server.address() + '\\n'))
process.on('SIGTERM', () => server.close(() => {
  try { unlinkSync(SOCKET) } catch {}
  appendFileSync(NOTES, 'closed\\n')
}))
`

await test('swaps fail no request of an app on a unix socket, whose path is there all the time', async (t) => {
  const path = socketPath(t)
  const world = await createWorkspace(t, { PORT: '0', SOCKET: path })
  const supervisor = world.start()
  await swapUnderLoad(t, world, `unix:${path}`, onUnixSocket)
  await eventually('the ends of all before', () => world.notes().filter((note) => note === 'closed').length === swaps)
  t.same(new Set(world.notes()), new Set([`at ${path}`, 'closed']))
  supervisor.kill('SIGTERM')
  await supervisor.exited
  t.notOk(existsSync(path), 'at the end it is removed')
})

const clustered = (version: string) => `import cluster from 'node:cluster'
import { createServer } from 'node:http'
import { appendFileSync, existsSync } from 'node:fs'
if (cluster.isPrimary) {
  cluster.fork()
  if (process.env.WORKERS !== '1') cluster.fork()
  cluster.on('exit', () => cluster.fork())
  process.on('SIGTERM', () => { appendFileSync(process.env.NOTES, 'term\\n'); process.exit(0) })
} else createServer((request, response) => {
  if (request.url === '/die') process.exit(1)
  if (request.url === '/slow') {
    appendFileSync(process.env.NOTES, 'slow\\n')
    const timer = setInterval(() => {
      if (!existsSync(process.env.NOTES + '.go')) return
      clearInterval(timer)
      response.end('slow ${version}')
    }, 20)
  } else response.end(JSON.stringify({ version: '${version}', pid: process.pid }))
}).listen(process.env.PORT)
`

const forking = (version: string) => `import { fork } from 'node:child_process'
import { createServer } from 'node:http'
if (process.argv[2] === undefined) {
  const start = () => fork(import.meta.filename, ['worker']).on('exit', start)
  start()
} else createServer((request, response) => {
  if (request.url === '/die') process.exit(1)
  response.end(JSON.stringify({ version: '${version}', pid: process.pid }))
}).listen(process.env.PORT)
`

const kinds = { clustered, forking }

for (const [kind, app] of Object.entries(kinds)) {
  await test(`${kind}: a worker that ends is followed by one on the same port, before a swap and after it`, async (t) => {
    const world = await createWorkspace(t, { WORKERS: '1' })
    const supervisor = world.start()
    for (const [letter, version] of [
      ['a', 'one'],
      ['b', 'two'],
    ] as const) {
      await world.verdict(world.activate(world.release(letter, app(version))), 'ok')
      for (let i = 0; i < 3; i++) {
        const { pid } = await world.askFresh()
        await ask(`http://127.0.0.1:${world.port}/die`).catch(() => undefined)
        // Node itself loses a connection that a primary gave to a worker that is ending.
        await eventually('its end', () => !processesBelow(world.workspace).includes(String(pid)))
        await eventually('another one', async () => (await world.askFresh()).pid !== pid)
        t.match(await world.askFresh(), { version })
      }
    }
    t.notMatch(supervisor.lines.join('\n'), 'EADDRINUSE')
    t.match(await world.metrics(), /strategy="overlap",outcome="ok"\} 2/)
  })

  await test(`${kind}: a primary that is killed takes its workers along, and connections wait for the next one`, async (t) => {
    const world = await createWorkspace(t)
    const supervisor = world.start()
    await world.verdict(world.activate(world.release('a', app('one'))), 'ok')
    const before = processesBelow(world.workspace)
    const primary = /"pid":(\d+),"msg":"release/.exec(await supervisor.line('serves'))?.[1]
    process.kill(Number(primary), 'SIGKILL')
    await eventually('their end', () => processesBelow(world.workspace).every((pid) => !before.includes(pid)))
    const load = startLoad(`http://127.0.0.1:${world.port}/`)
    await supervisor.line('serves again')
    await eventually('answers', () => load.answered() > 20)
    await load.stop()
    t.strictSame(load.failures(), [])
  })

  await test(`${kind}: A, B, A and C at once after it, of processes that ignore SIGTERM, fail no request`, async (t) => {
    const world = await createWorkspace(t, { AETHER_READY_PATH: '/' })
    world.start()
    const deaf = (version: string) =>
      `${app(version).replace(/^ *process.on\('SIGTERM.*$/m, '')}\nprocess.on('SIGTERM', () => {})`
    const [a, b, c] = [
      world.release('a', deaf('one')),
      world.release('b', deaf('two')),
      world.release('c', deaf('three')),
    ]
    await world.verdict(world.activate(a), 'ok')
    const load = startLoad(`http://127.0.0.1:${world.port}/`)
    await world.verdict(world.activate(b), 'ok')
    await eventually('the second', () => load.versions().includes('two'))
    await world.verdict(world.activate(a), 'ok')
    await world.verdict(world.activate(c), 'ok')
    await eventually('the third', () => load.versions().includes('three'))
    const count = kind === 'clustered' ? 3 : 2
    await eventually('one family', () => processesBelow(world.workspace).length === count)
    await load.stop()
    t.strictSame(load.failures(), [])
    t.comment(`${load.failures().length} of ${load.answered()} requests failed`)
    t.match(await world.metrics(), /strategy="overlap",outcome="ok"\} 4/)
  })
}

await test('a slow answer of a worker is finished by it, and the primary lives until then', async (t) => {
  const world = await createWorkspace(t)
  world.start()
  await world.verdict(world.activate(world.release('a', clustered('one'))), 'ok')
  const answer = ask(`http://127.0.0.1:${world.port}/slow`)
  await eventually('the request', () => world.notes().includes('slow'))
  await world.verdict(world.activate(world.release('b', clustered('two'))), 'ok')
  t.match(await world.askFresh(), { version: 'two' })
  t.same(world.notes(), ['slow'])
  writeFileSync(join(world.root, 'notes.go'), '')
  t.equal(await answer, 'slow one')
  await eventually('its end', () => world.notes().includes('term'))
  t.match(await world.metrics(), /aether_drain_requests_sum 1\n/)
})

await test('processes that look for a free port beside each other find the one they would without us', async (t) => {
  const world = await createWorkspace(t)
  const supervisor = world.start()
  const app = (version: string) => `import { fork } from 'node:child_process'
import { createServer } from 'node:http'
if (process.argv[2] === undefined) for (const name of ['x', 'y']) fork(import.meta.filename, [name])
else {
  let port = Number(process.env.PORT)
  const server = createServer((request, response) => response.end(JSON.stringify({ version: '${version}', name: process.argv[2], port })))
  server.on('error', () => server.listen(++port)).listen(port)
}`
  const names = async () => {
    const answers: Record<string, unknown>[] = []
    for (const port of [world.port, world.port + 1]) answers.push(JSON.parse(await ask(`http://127.0.0.1:${port}`)))
    return answers
  }
  for (const [letter, version] of Object.entries({ a: 'one', b: 'two', c: 'three' })) {
    await world.verdict(world.activate(world.release(letter, app(version))), 'ok')
    await eventually('both', async () => {
      const found = await names().catch(() => [])
      return new Set(found.map(({ name }) => name)).size === 2 && found.every((one) => one.version === version)
    })
    // One that was opened after its app was ready is handed up a second later.
    await eventually('both to be held', () => [0, 1].every((more) => holdsPort(supervisor.pid, world.port + more)))
  }
  t.notMatch(supervisor.lines.join('\n'), 'no overlap')
})

await test('a server that is closed and opened again in a process that serves finds its port and path free', async (t) => {
  const path = socketPath(t)
  const world = await createWorkspace(t, { SOCKET: path })
  world.start()
  const app = (version: string) => `import { createServer } from 'node:http'
const servers = [process.env.PORT, process.env.SOCKET].map((place) => {
  const server = createServer((request, response) => {
    if (request.url === '/again') {
      response.setHeader('connection', 'close')
      server.close(() => server.listen(place))
    }
    response.end(JSON.stringify({ version: '${version}' }))
  })
  return server.listen(place)
})`
  for (const [letter, version] of Object.entries({ a: 'one', b: 'two' })) {
    await world.verdict(world.activate(world.release(letter, app(version))), 'ok')
    for (const url of [`http://127.0.0.1:${world.port}`, `unix:${path}`])
      for (let i = 0; i < 3; i++) {
        t.match(await ask(url.startsWith('unix') ? url : `${url}/again`), version)
        t.match(await ask(url), version)
      }
  }
  t.match(await world.metrics(), /strategy="overlap",outcome="ok"\} 2/)
})

const loners = {
  'SCHED_NONE: each worker accepts by itself': (version: string) =>
    `import cluster from 'node:cluster'\ncluster.schedulingPolicy = cluster.SCHED_NONE\n${clustered(version).replace(/^import cluster.*$/m, '')}`,
  'listen on one port with reusePort': (version: string) =>
    forking(version).replace(
      '.listen(process.env.PORT)',
      '.listen({ port: Number(process.env.PORT), reusePort: true })',
    ),
}

for (const [why, app] of Object.entries(loners))
  await test(`one process at a time, and the log says why: ${why}`, async (t) => {
    const world = await createWorkspace(t)
    const supervisor = world.start()
    await world.verdict(world.activate(world.release('a', app('one'))), 'ok')
    await world.verdict(world.activate(world.release('b', app('two'))), 'ok')
    t.match(await world.askFresh(), { version: 'two' })
    t.match(supervisor.lines.find((line) => line.includes('no overlap for this swap')) ?? '', why)
    t.match(await world.metrics(), 'aether_swap_seconds_count{strategy="recreate",outcome="ok"} 1')
    await world.verdict(world.activate(world.release('c', forking('three'))), 'ok')
    t.match(await world.askFresh(), { version: 'three' })
  })

/** Short: a path of a socket has at most 107 bytes (unix(7)). */
function socketPath(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'aether-kinds-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return join(folder, 'app.sock')
}
