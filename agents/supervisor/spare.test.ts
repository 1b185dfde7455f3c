// The warm spare: what it becomes is what `node file args` would have been.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually, testFolder } from '@aether/runtime/test-process'
import { test } from 'tap'
import { createWorkspace } from './test-kit.ts'

type World = Awaited<ReturnType<typeof createWorkspace>>

const report = `cwd: process.cwd(), argv: process.argv.slice(1), own: [process.env.NODE_OPTIONS, process.env.AETHER_PRELOAD],
  digest: process.env.AETHER_DIGEST?.slice(7, 9), extra: process.env.EXTRA, uptime: process.uptime(), pid: process.pid`
const listen = `createServer((request, response) => response.end(JSON.stringify(seen))).listen(process.env.PORT)`

const kinds = {
  'server.js': {
    manifest: { scripts: { start: 'EXTRA=yes node server.js --flag word' } },
    source: `const { createServer } = require('node:http')
const seen = { ${report}, isMain: require.main === module, file: __filename, parent: module.parent ?? null }
${listen}`,
  },
  'server.mjs': {
    manifest: { scripts: { start: 'EXTRA=yes node server.mjs --flag word' } },
    source: `import { createServer } from 'node:http'
const seen = { ${report}, isMain: import.meta.main, file: import.meta.filename, parent: null }
${listen}`,
  },
  'server.ts': {
    manifest: { type: 'module', scripts: { start: 'EXTRA=yes node ./server.ts --flag word' } },
    source: `import { createServer, type Server } from 'node:http'
const seen: object = { ${report}, isMain: import.meta.main, file: import.meta.filename, parent: null }
const server: Server = ${listen}`,
  },
} as const

const isReady = async ({ metrics }: World) => /aether_spare_state\{state="ready"\} 1/.test(await metrics())

function commandLine(pid: unknown): string {
  return readFileSync(`/proc/${Number(pid)}/cmdline`, 'utf8')
    .replaceAll('\0', ' ')
    .trim()
}

for (const [name, { manifest, source }] of Object.entries(kinds))
  await test(`${name} runs in a spare as it does in a process of its own`, async (t) => {
    const world = await createWorkspace(t)
    world.start()
    const release = (letter: string) => world.release(letter, '', manifest, { [name]: source })
    await world.verdict(world.activate(release('a')), 'ok')
    const { uptime: _, pid: first, ...cold } = await world.askFresh()
    const shown = commandLine(first)
    await eventually('a spare', () => isReady(world))
    await sleep(300)
    await world.verdict(world.activate(release('b')), 'ok')
    const { uptime, pid, ...warm } = await world.askFresh()
    t.equal(commandLine(pid), shown, 'ps shows the same')
    const moved: unknown = JSON.parse(JSON.stringify(cold).replaceAll('a'.repeat(64), 'b'.repeat(64)))
    t.strictSame({ ...warm, digest: 'aa' }, moved)
    t.match(warm, { isMain: true, extra: 'yes', digest: 'bb' })
    t.ok(Number(uptime) > 0.25, 'it was booted before')
  })

await test('a spare takes the place of a process that was killed, and there is none where its budget is 0', async (t) => {
  const source = `require('node:http').createServer((request, response) =>
  response.end(JSON.stringify({ pid: process.pid, uptime: process.uptime() }))).listen(process.env.PORT)`
  for (const budget of ['0', '32'])
    await t.test(`AETHER_SPARE_MAX_MB=${budget}`, async (part) => {
      const world = await createWorkspace(part, { AETHER_SPARE_MAX_MB: budget })
      world.start()
      await world.verdict(world.activate(world.release('a', source, {})), 'ok')
      const state = budget === '0' ? 'off' : 'ready'
      await eventually('its state', async () =>
        (await world.metrics()).includes(`aether_spare_state{state="${state}"} 1`),
      )
      const { pid } = await world.askFresh()
      await sleep(500)
      process.kill(Number(pid), 'SIGKILL')
      await eventually('another process', async () => (await world.askFresh()).pid !== pid)
      const { uptime } = await world.askFresh()
      if (budget !== '0') part.ok(Number(uptime) > 0.4, `up for ${Number(uptime)} s before it was needed`)
      else part.notMatch(await world.metrics(), /aether_spare_state\{state="ready"\} 1/)
    })
})

await test('a spare has undici of Node where the app that runs has it, and else not', async (t) => {
  const whole = `const seen = () => process.moduleLoadList.includes('NativeModule internal/deps/undici/undici')
createServer((request, response) => response.end(JSON.stringify({ undici: seen() }))).listen(process.env.PORT)`
  const required = `const { createServer } = require('node:http')\n${whole}`
  for (const [type, source, undici] of [
    ['commonjs', required, false],
    ['module', `import { createServer } from 'node:http'\n${whole}`, true],
  ] as const)
    await t.test(type, async (part) => {
      const world = await createWorkspace(part)
      world.start()
      await world.verdict(world.activate(world.release('a', source, { type })), 'ok')
      part.match(await world.askFresh(), { undici })
      await eventually('a spare', () => isReady(world))
      await sleep(300)
      // It loads nothing that brings it, so what it has is from before.
      await world.verdict(world.activate(world.release('b', required, { type: 'commonjs' })), 'ok')
      part.match(await world.askFresh(), { undici })
    })
})

await test("what a preload of NODE_OPTIONS sees and changes is the same in a spare: no request but the app's, its functions where ES modules import them", async (t) => {
  const tracer = testFolder(t, {
    'tracer.cjs': `const http = require('node:http')
globalThis.traced = { requests: 0 }
require('node:diagnostics_channel').subscribe('http.server.request.start', () => { traced.requests += 1 })
// Late, when a spare has imported what it imports.
setTimeout(() => { http.get = function replaced() {} }, 400).unref()`,
  })
  await t.test('under it', async (part) => {
    const world = await createWorkspace(part, { NODE_OPTIONS: `--require ${join(tracer, 'tracer.cjs')}` })
    const source = `import { createServer, get } from 'node:http'
createServer((request, response) => response.end(JSON.stringify({ requests: traced.requests, get: get.name, uptime: process.uptime() }))).listen(process.env.PORT)`
    world.start()
    await world.verdict(world.activate(world.release('a', source)), 'ok')
    part.match(await world.askFresh(), { requests: 1, get: 'get' })
    await eventually('a spare', () => isReady(world))
    await sleep(800)
    await world.verdict(world.activate(world.release('b', source)), 'ok')
    const warm = await world.askFresh()
    part.ok(Number(warm.uptime) > 0.8, 'it was booted before')
    part.match(warm, { requests: 1, get: 'replaced' })
  })
})
