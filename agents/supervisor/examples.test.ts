// The apps of examples/apps, as they are, moved from release to release under strict clients.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '@aether/runtime/test-process'
import { test } from 'tap'
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
