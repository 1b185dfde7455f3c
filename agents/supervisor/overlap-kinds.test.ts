// The strategy overlap with apps that are more than one process on one port: unix sockets, clusters, forks.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { createWorkspace, processesBelow } from './test-kit.ts'
import { swaps, swapUnderLoad } from './test-swaps.ts'

/** As most do: what is at the path is removed before, and at the end. */
const onUnixSocket = (version: string) => `import { rmSync, unlinkSync } from 'node:fs'
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
const { SOCKET, NOTES } = process.env
rmSync(SOCKET, { force: true })
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

const clustered = (version: string, more = '') => `import cluster from 'node:cluster'
import { createServer } from 'node:http'
import { appendFileSync } from 'node:fs'
if (cluster.isPrimary) {
  cluster.fork()
  cluster.fork()
  cluster.on('exit', () => cluster.fork())
  process.on('SIGTERM', () => { appendFileSync(process.env.NOTES, 'term\\n'); process.exit(0) })
} else createServer((request, response) => {
  if (request.url === '/die') process.exit(1)
  response.end(JSON.stringify({ version: '${version}', pid: process.pid }))
}).listen(process.env.PORT)
${more}`

await test('nor of an app that uses node:cluster, asked on its ready path', async (t) => {
  const world = await createWorkspace(t, { AETHER_READY_PATH: '/' })
  world.start()
  await swapUnderLoad(t, world, `http://127.0.0.1:${world.port}/`, (version) => clustered(version))
  await eventually('the ends of all before', () => world.notes().length === swaps)
  await eventually('three processes', () => processesBelow(world.workspace).length === 3)
})

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

await test('nor of an app whose forked process listens', async (t) => {
  const world = await createWorkspace(t, { AETHER_READY_PATH: '/' })
  world.start()
  await swapUnderLoad(t, world, `http://127.0.0.1:${world.port}/`, (version) => forking(version))
  await eventually('two processes', () => processesBelow(world.workspace).length === 2)
})

/** Short: a path of a socket has at most 107 bytes (unix(7)). */
function socketPath(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'aether-kinds-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return join(folder, 'app.sock')
}
