// The strategy overlap, with real apps under strict clients.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { eventually, freePort } from '@aether/runtime/test-process'
import { test } from 'tap'
import { startLoad } from './test-client.ts'
import { appAnswering, certificate, createWorkspace } from './test-kit.ts'
import { swaps, swapUnderLoad } from './test-swaps.ts'

await test('ten swaps and more fail no request of a plain app of ES modules', async (t) => {
  const world = await createWorkspace(t)
  const supervisor = world.start()
  await swapUnderLoad(t, world, `http://127.0.0.1:${world.port}/`, (version) => appAnswering(version))
  await eventually('the ends of all before', () => world.notes().length === swaps)
  t.notMatch(supervisor.lines.join('\n'), 'no overlap')
})

await test('nor of a CommonJS app that closes its server on SIGTERM and is asked on a ready path', async (t) => {
  const world = await createWorkspace(t, { AETHER_READY_PATH: '/healthz' })
  world.start()
  const app = (version: string) => `const { createServer } = require('node:http')
const { appendFileSync } = require('node:fs')
let isReady = false
setTimeout(() => { isReady = true }, 30)
const server = createServer((request, response) => {
  if (!isReady) appendFileSync(process.env.NOTES, request.url === '/healthz' ? '' : 'too early\\n')
  response.statusCode = isReady ? 200 : 503
  response.end(JSON.stringify({ version: '${version}' }))
})
server.listen({ port: process.env.PORT, host: '0.0.0.0' })
process.on('SIGTERM', () => server.close((error) => {
  appendFileSync(process.env.NOTES, 'closed ' + error + '\\n')
  process.exit(0)
}))
`
  await swapUnderLoad(t, world, `http://127.0.0.1:${world.port}/`, (version) => ({
    server: app(version),
    manifest: {},
  }))
  await eventually('the ends of all before', () => world.notes().length === swaps)
  t.same(new Set(world.notes()), new Set(['closed undefined']), 'its own close found the server open')
})

await test('nor over TLS, on a port beside a plain one', async (t) => {
  const second = await freePort()
  const world = await createWorkspace(t, { SECOND: String(second), AETHER_READY_PATH: '/' })
  world.start()
  const pair = certificate(world.root)
  const app = (version: string) => `import { createServer } from 'node:https'
import { createServer as createPlain } from 'node:http'
const answer = (request, response) => response.end(JSON.stringify({ version: '${version}' }))
createServer({ ${pair} }, answer).listen(Number(process.env.PORT), '127.0.0.1')
createPlain(answer).listen(process.env.SECOND)
`
  const plain = startLoadLater(`http://127.0.0.1:${second}/`)
  await swapUnderLoad(t, world, `https://127.0.0.1:${world.port}/`, (version) => {
    plain.begin()
    return app(version)
  })
  const load = await plain.end()
  t.strictSame(load.failures(), [])
  t.ok(load.answered() > 100, `${load.answered()} answered on the second port`)
})

await test('nor of a Fastify app that closes itself on SIGTERM', async (t) => {
  const world = await createWorkspace(t, { AETHER_READY_PATH: '/' })
  world.start()
  const app = (version: string) => `import Fastify from 'fastify'
import { appendFileSync } from 'node:fs'
const app = Fastify()
app.get('/', async () => ({ version: '${version}' }))
await app.listen({ port: Number(process.env.PORT), host: '0.0.0.0' })
process.on('SIGTERM', () => app.close().then(() => {
  appendFileSync(process.env.NOTES, 'closed\\n')
  process.exit(0)
}))
`
  await swapUnderLoad(t, world, `http://127.0.0.1:${world.port}/`, app)
  await eventually('the ends of all before', () => world.notes().length === swaps)
  t.same(new Set(world.notes()), new Set(['closed']))
})

await test('nor of an app on an older Node of its own, started by a script', async (t) => {
  const other = '/usr/bin/node'
  const version = existsSync(other) ? execFileSync('env', ['-i', other, '--version'], { encoding: 'utf8' }).trim() : ''
  if (version === '' || version === process.version) {
    t.comment(`NOT RUN: ${other} is no other Node`)
    return
  }
  const world = await createWorkspace(t, { AETHER_APP_CMD: './start.sh', AETHER_READY_PATH: '/' })
  world.start()
  const app = (name: string) => appAnswering(name).replace('pid: process.pid', 'node: process.version')
  await swapUnderLoad(t, world, `http://127.0.0.1:${world.port}/`, (name) => ({
    server: app(name),
    files: { 'start.sh': `#!/bin/sh\nexec ${other} server.js\n` },
  }))
  t.match(await world.ask(), { node: version })
})

/** A load that begins when the port answers for the first time. */
function startLoadLater(url: string) {
  let began: Promise<ReturnType<typeof startLoad>> | undefined
  return {
    begin() {
      began ??= eventually(url, async () => (await fetch(url)).ok).then(() => startLoad(url, 2, 20))
    },
    async end() {
      const load = await (began ?? Promise.reject(new Error('not begun')))
      await load.stop()
      return load
    },
  }
}
