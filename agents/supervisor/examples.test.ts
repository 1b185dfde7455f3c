// The apps of examples/apps, as they are, moved from release to release under strict clients.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually, freePort } from '@aether/runtime/test-process'
import { test } from 'tap'
import { startLoad } from './test-client.ts'
import { createWorkspace } from './test-kit.ts'
import { swapUnderLoad } from './test-swaps.ts'

const apps = fileURLToPath(new URL('../../examples/apps', import.meta.url))
/** What the app is asked by first, where it is asked at all. */
const kinds = {
  express: '/',
  koa: '/',
  typescript: '',
  commonjs: '',
  graceful: '/',
  ports: '',
  websocket: '/',
  'says-ready': '',
  'custom-server': '/api/name',
  'unix-socket': '/',
  cluster: '/',
  fork: '/',
  sticky: '',
}

for (const [name, readyPath] of Object.entries(kinds))
  await test(`swaps fail no request of ${name}`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'aether-examples-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const socket = join(folder, 'app.sock')
    const isUnix = name === 'unix-socket'
    const world = await createWorkspace(t, {
      AETHER_READY_PATH: readyPath,
      AETHER_WAIT_READY: String(name === 'says-ready'),
      ADMIN_PORT: String(await freePort()),
      SOCKET: socket,
      ...(isUnix ? { PORT: '0' } : {}),
    })
    world.start()
    const files = Object.fromEntries(
      readdirSync(join(apps, name)).map((file) => [file, readFileSync(join(apps, name, file), 'utf8')]),
    )
    const manifest: object = JSON.parse(files['package.json'] ?? '')
    const url = isUnix ? `unix:${socket}` : `http://127.0.0.1:${world.port}/`
    const source = (version: string) => ({
      server: files['server.js'] ?? '',
      files: { ...files, 'package.json': JSON.stringify({ ...manifest, version }) },
    })
    await swapUnderLoad(t, world, url, source, 6)
  })

await test('an app that holds a lock is moved by recreate, and connections wait meanwhile', async (t) => {
  const world = await createWorkspace(t, { AETHER_STRATEGY: 'recreate', LOCK_FILE: join(t.testdir(), 'lock') })
  world.start()
  const server = readFileSync(join(apps, 'lock', 'server.js'), 'utf8')
  const [a, b] = ['1.0.0', '2.0.0'].map((version, at) =>
    world.release(at === 0 ? 'a' : 'b', server, { type: 'module', version }),
  )
  if (a === undefined || b === undefined) throw new Error('no release')
  await world.verdict(world.activate(a), 'ok')
  const load = startLoad(`http://127.0.0.1:${world.port}/`)
  for (const digest of [b, a, b]) {
    await world.verdict(world.activate(digest), 'ok')
    const before = load.answered()
    await eventually('more answers', () => load.answered() > before + 20)
  }
  await load.stop()
  t.strictSame([load.failures(), load.versions()], [[], ['1.0.0', '2.0.0']])
  t.comment(`${load.failures().length} of ${load.answered()} requests failed in 3 swaps`)
  t.match(await world.metrics(), 'aether_swap_seconds_count{strategy="recreate",outcome="ok"} 4')
})
