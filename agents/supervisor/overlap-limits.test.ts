// Where two processes cannot stand side by side, and what must not be left over whatever happens in a swap.
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { eventually, freePort } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { ask, startLoad } from './test-client.ts'
import { appAnswering, createWorkspace, processesBelow } from './test-kit.ts'

const mebibyte = 1024 * 1024
type World = Awaited<ReturnType<typeof createWorkspace>>

/** Two releases, one after the other; answers what the supervisor said of the second swap. */
async function swapOnce(t: Test, world: World, app: (version: string) => string): Promise<string> {
  const supervisor = world.start()
  await world.verdict(world.activate(world.release('a', app('one'))), 'ok')
  await world.verdict(world.activate(world.release('b', app('two'))), 'ok')
  t.match(await world.askFresh(), { version: 'two' })
  const before = join(world.workspace, 'releases', `sha256-${'a'.repeat(64)}`)
  await eventually('the end of the one before', () => processesBelow(before).length === 0)
  t.match(await world.metrics(), 'aether_swap_seconds_count{strategy="recreate",outcome="ok"} 1')
  return supervisor.lines.find((line) => line.includes('no overlap for this swap')) ?? ''
}

for (const version of ['v1', 'v2'])
  await test(`without memory for two (cgroup ${version}), one process at a time, and connections wait meanwhile`, async (t) => {
    const world = await createWorkspace(t, { AETHER_CGROUP_DIR: join(t.testdirName, 'cgroup') })
    const folder = join(world.root, 'cgroup')
    mkdirSync(join(folder, 'memory'), { recursive: true })
    const [limit, used, stat, cache] =
      version === 'v2'
        ? ['memory.max', 'memory.current', 'memory.stat', 'inactive_file']
        : ['memory/memory.limit_in_bytes', 'memory/memory.usage_in_bytes', 'memory/memory.stat', 'total_inactive_file']
    writeFileSync(join(folder, limit), `${100 * mebibyte}\n`)
    writeFileSync(join(folder, used), `${100 * mebibyte}\n`)
    writeFileSync(join(folder, stat), `${cache} ${5 * mebibyte}\n`)
    let load: ReturnType<typeof startLoad> | undefined
    const said = await swapOnce(t, world, (name) => {
      if (name === 'two') load = startLoad(`http://127.0.0.1:${world.port}/`, 0)
      return appAnswering(name)
    })
    t.match(said, /5 MiB are free of 100 MiB, a second process needs about \d+ MiB; raise the limit/)
    await load?.stop()
    t.strictSame(load?.failures(), [], 'fresh connections waited in the backlog')
    writeFileSync(join(folder, stat), `${cache} ${90 * mebibyte}\n`)
    await world.verdict(world.activate(world.release('c', appAnswering('three'))), 'ok')
    t.match(await world.metrics(), /strategy="overlap",outcome="ok"\} 2/, 'there is room again')
  })

await test('an app that listens in a worker thread is replaced one at a time, with the reason', async (t) => {
  const app = (version: string) => `import { Worker } from 'node:worker_threads'
new Worker(\`const { createServer } = require('node:http')
createServer((request, response) => response.end(JSON.stringify({ version: '${version}' }))).listen(process.env.PORT)\`, { eval: true })`
  t.match(await swapOnce(t, await createWorkspace(t), app), /by the app.s first thread/)
})

await test('a release that listens on another address of the port is taken all the same', async (t) => {
  const world = await createWorkspace(t)
  const on = (host: string) => (version: string) =>
    appAnswering(version).replace('.listen(PORT)', `.listen(PORT, '${host}')`)
  const app = (version: string) => on(version === 'one' ? '127.0.0.1' : '0.0.0.0')(version)
  t.match(await swapOnce(t, world, app), /another address/)
})

await test('a port that the next release does not listen on is let go', async (t) => {
  const second = await freePort()
  const world = await createWorkspace(t, { SECOND: String(second) })
  world.start()
  const both = `createServer((request, response) => response.end('second')).listen(process.env.SECOND)`
  await world.verdict(world.activate(world.release('a', appAnswering('one', both))), 'ok')
  t.equal(await ask(`http://127.0.0.1:${second}`), 'second')
  await world.verdict(world.activate(world.release('b', appAnswering('two'))), 'ok')
  await eventually('the refusal', () => isRefused(second))
  await world.verdict(world.activate(world.release('c', appAnswering('three', both))), 'ok')
  t.equal(await ask(`http://127.0.0.1:${second}`), 'second')
})

await test('an app that first looks whether its port is free finds it free, in its first process and the next', async (t) => {
  const world = await createWorkspace(t)
  world.start()
  const looking = (version: string) => `import { once } from 'node:events'
import { createServer as createProbe } from 'node:net'
for (let i = 0; i < 2; i++) {
  const probe = createProbe().listen(Number(process.env.PORT))
  await once(probe, 'listening')
  await new Promise((resolve) => probe.close(resolve))
}
${appAnswering(version)}`
  await world.verdict(world.activate(world.release('a', looking('one'))), 'ok')
  const load = startLoad(`http://127.0.0.1:${world.port}/`)
  await world.verdict(world.activate(world.release('b', looking('two'))), 'ok')
  await eventually('the new one', () => load.versions().includes('two'))
  await load.stop()
  t.strictSame(load.failures(), [])
  t.match(await world.metrics(), /strategy="overlap",outcome="ok"\} 2/)
})

await test('a release that listens elsewhere is told how to be found', async (t) => {
  const world = await createWorkspace(t, { AETHER_START_TIMEOUT_MS: '800' })
  const other = await freePort()
  world.start()
  await world.verdict(
    world.activate(world.release('a', appAnswering('one').replace('.listen(PORT)', `.listen(${other})`))),
    'fail',
  )
  t.match(world.state().message, `it listens on ${other}: let it listen on PORT, or set PORT to its port`)
})

await test('a release that crashes before it is ready never answers, though it listened', async (t) => {
  const world = await createWorkspace(t, { AETHER_READY_PATH: '/ready' })
  world.start()
  const unready = (version: string) =>
    appAnswering(version, 'setTimeout(() => process.exit(7), 300)').replace(
      'response.end(',
      "if (request.url === '/ready') response.statusCode = 503\n  response.end(",
    )
  await world.verdict(world.activate(world.release('a', appAnswering('one'))), 'ok')
  const load = startLoad(`http://127.0.0.1:${world.port}/`)
  await world.verdict(world.activate(world.release('b', unready('two'))), 'fail')
  await load.stop()
  t.strictSame([load.failures(), load.versions()], [[], ['one']])
  t.match(world.state(), { detail: 'exited', state: 'serving' })
})

await test('an app that says when it is ready is waited for, and refused where it never says so', async (t) => {
  const world = await createWorkspace(t, { AETHER_WAIT_READY: 'true', AETHER_START_TIMEOUT_MS: '2000' })
  world.start()
  const app = (version: string) => `let isReady = false
setTimeout(() => { isReady = true; process.send?.('ready') }, 300)
${appAnswering(version).replace('response.end(', 'response.statusCode = isReady ? 200 : 503\n  response.end(')}`
  await world.verdict(world.activate(world.release('a', app('one'))), 'ok')
  const load = startLoad(`http://127.0.0.1:${world.port}/`)
  await world.verdict(world.activate(world.release('b', app('two'))), 'ok')
  await eventually('the new one', () => load.versions().includes('two'))
  await world.verdict(world.activate(world.release('c', appAnswering('three'))), 'fail')
  await load.stop()
  t.strictSame([load.failures(), load.versions()], [[], ['one', 'two']])
  t.match(world.state(), { detail: 'not_ready', message: /did not say process.send\('ready'\)/ })
})

await test('A, B and A again in quick succession end on A, with one process and nothing refused', async (t) => {
  const world = await createWorkspace(t)
  world.start()
  const slow = (version: string) =>
    `await new Promise((resolve) => setTimeout(resolve, 1000))\n${appAnswering(version)}`
  const [a, b] = [world.release('a', slow('one')), world.release('b', slow('two'))]
  await world.verdict(world.activate(a), 'ok')
  const load = startLoad(`http://127.0.0.1:${world.port}/`)
  world.activate(b)
  await eventually('the swap to begin', () => world.state().activation === 2)
  await world.verdict(world.activate(a), 'ok')
  await load.stop()
  t.strictSame([load.failures(), load.versions()], [[], ['one']])
  await eventually('one process', () => processesBelow(world.workspace).length === 1)
  t.same(world.state().refused, [])
})

await test('SIGTERM in the middle of a swap ends both processes', async (t) => {
  const world = await createWorkspace(t)
  const supervisor = world.start()
  await world.verdict(world.activate(world.release('a', appAnswering('one'))), 'ok')
  const load = startLoad(`http://127.0.0.1:${world.port}/`, 4)
  world.activate(world.release('b', 'setInterval(() => {}, 1000)'))
  await eventually('the second process', () => processesBelow(world.workspace).length === 2)
  await load.stop()
  supervisor.kill('SIGTERM')
  t.equal(await supervisor.exited, 0)
  t.same(processesBelow(world.workspace), [])
  t.strictSame([load.failures(), load.versions()], [[], ['one']])
})

await test('killed in the middle of a swap, it comes back on the last good release', async (t) => {
  const world = await createWorkspace(t)
  const first = world.start()
  const good = world.release('a', appAnswering('one'))
  await world.verdict(world.activate(good), 'ok')
  const bad = world.release('b', 'setInterval(() => {}, 1000)')
  world.activate(bad)
  await eventually('the second process', () => processesBelow(world.workspace).length === 2)
  await eventually('its record', () => world.state().activation === 2)
  // As when the container is out of memory: all of it at once.
  first.kill('SIGKILL')
  for (const pid of processesBelow(world.workspace)) process.kill(Number(pid), 'SIGKILL')
  await first.exited
  world.start()
  await world.verdict(2, 'fail')
  await eventually('the last good release', async () => (await world.askFresh()).version === 'one')
  t.match(world.state(), { refused: [bad], lastGood: good, message: /the container ended/ })
})

await test('the app sees nothing of us: its environment, its descendants and its own arguments are as without', async (t) => {
  const world = await createWorkspace(t, { NODE_OPTIONS: '--no-warnings' })
  world.start()
  const curious = `import { execFileSync } from 'node:child_process'
const grandchild = JSON.parse(execFileSync(process.execPath, ['-p', 'JSON.stringify([process.env.NODE_OPTIONS, process.env.AETHER_PRELOAD, require("net").Server.prototype.listen.name])']).toString())
const seen = { own: [process.env.NODE_OPTIONS, process.env.AETHER_PRELOAD, process.execArgv], grandchild, send: typeof process.send }
`
  const app = curious + appAnswering('one').replace("version: 'one',", "version: 'one', seen,")
  await world.verdict(world.activate(world.release('a', app)), 'ok')
  t.strictSame((await world.askFresh()).seen, {
    own: ['--no-warnings', null, []],
    grandchild: ['--no-warnings', null, ''],
    send: 'function',
  })
})

await test('a worker without a port is replaced when the next one runs', async (t) => {
  const world = await createWorkspace(t, { PORT: '0' })
  world.start()
  const worker = (version: string, more = '') => `import { appendFileSync } from 'node:fs'
appendFileSync(process.env.NOTES, 'start ${version} ' + process.env.PORT + '\\n')
process.on('SIGTERM', () => { appendFileSync(process.env.NOTES, 'term ${version}\\n'); process.exit(0) })
setInterval(() => {}, 1000)
${more}`
  await world.verdict(world.activate(world.release('a', worker('one'))), 'ok')
  t.equal(await world.readyz(), 200)
  await world.verdict(world.activate(world.release('b', worker('two', "process.send('ready')"))), 'ok')
  await eventually('the end of the old one', () => world.notes().includes('term one'))
  t.same(world.notes(), ['start one undefined', 'start two undefined', 'term one'])
})

function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}
