// aether dev --local with the real agents: what becomes of saves, good and bad, and what is left at the end.
import { chmodSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer, get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cliExitCodes } from '@aether/contract/exit-codes'
import { type Test, test } from 'tap'
import { eventually, freePort } from '../test-control.ts'
import { run, start } from '../test-run.ts'
import { leftIn, part, recordsOf, startDev, write } from './test-dev.ts'

const manifest = '{"name":"shop","type":"module","scripts":{"start":"node server.js"}}'
const server = (answer: string) => `import { createServer } from 'node:http'
createServer((_, response) => response.end(${answer})).listen(process.env.PORT)\n`

await test('a save serves; what does not come up is one line with its own error, while the last good one serves on', async (t) => {
  const { folder, env, ask, args } = await world(t)
  const dev = await begin(t, folder, env, ...args)
  t.match(dev.last(), { outcome: 'serving', error: null })
  t.equal(await ask(), 'one')

  write(folder, 'server.js', server("'two'"))
  t.match(await dev.next(), { outcome: 'serving', changed: ['server.js'] })
  t.equal(await ask(), 'two')

  write(folder, 'server.js', `${server("'three'")} what is this`)
  const broken = await dev.next()
  t.match(broken, {
    outcome: 'failed',
    stage: 'serving',
    error: { code: 'unhealthy', message: /^SyntaxError: Unexpected identifier/, detail: [/server\.js:\d+$/] },
    still_serving: [/^sha256:/],
  })
  t.equal(await ask(), 'two')

  write(folder, 'server.js', 'throw new TypeError("no database")\n')
  t.match(await dev.next(), { outcome: 'failed', error: { message: /^TypeError: no database: / } })
  write(folder, 'server.js', server("'two'"))
  t.match(await dev.next(), { outcome: 'serving' }, 'back to what serves')
  write(folder, 'server.js', 'throw new TypeError("no database")\n')
  t.match(await dev.next(), { outcome: 'failed' }, 'and the same fault again is tried again')
  t.equal(await ask(), 'two')
  write(folder, 'server.js', server("'four'"))
  t.match(await dev.next(), { outcome: 'serving' })
  t.equal(await ask(), 'four')

  dev.running.kill('SIGINT')
  t.match(await dev.running.ended, {
    code: 130,
    stderr: /\nend {8}shop and its agents have ended, and nothing of them is left\n/,
  })
  await t.rejects(ask(), { code: 'ECONNREFUSED' })
  t.strictSame(leftIn(folder), [], 'no temporary folder and no lock is left')
})

await test("the first line says where it runs, and the app's lines are in the same window", async (t) => {
  const { folder, env, port, ask, args } = await world(t, {
    'server.js': `${server('process.env.GREETING')}console.log('a line of the app')\n`,
  })
  const dev = start(t, ['dev', '--hot', ...args, '--env', 'GREETING=hello'], { cwd: folder, env })
  t.teardown(async () => {
    dev.kill('SIGINT')
    await dev.ended
  })
  await eventually(() => dev.output().includes('\nserving'), dev.output)
  t.match(dev.output(), new RegExp(`^watching {3}.*/app for shop on this machine, at http://127.0.0.1:${port}\n`))
  t.match(dev.output(), /\nshop a line of the app\n/)
  t.equal(await ask(), 'hello')
  write(folder, 'server.js', 'process.exit(7)\n')
  await eventually(() => /\nfailed .*exit code 7.* serves on\n/.test(dev.output()), dev.output)
})

await test('a new dependency is installed and serves, and is not installed again', async (t) => {
  const { folder, env, ask, args } = await world(t, {
    'lib/one/package.json': '{"name":"one","version":"1.0.0","type":"module","exports":"./one.js"}',
    'lib/one/one.js': "export const word = 'from a package'\n",
  })
  const dev = await begin(t, folder, env, ...args)
  write(folder, 'package.json', manifest.replace('"type"', '"dependencies":{"one":"file:./lib/one"},"type"'))
  write(folder, 'server.js', `import { word } from 'one'\n${server('word')}`)
  const added = await dev.next()
  t.match(added, { outcome: 'serving', ms: { install: Number } })
  t.equal(await ask(), 'from a package')
  write(folder, 'server.js', `import { word } from 'one'\n${server('`again ${word}`')}`)
  t.notOk('install' in part(await dev.next(), 'ms'))
  t.equal(await ask(), 'again from a package')
})

await test('what changes in modules that are taken as they are comes by itself after the save, and one that npm says it wrote at once', async (t) => {
  const { folder, env, ask, args } = await world(t, {
    'server.js': `import { text } from 'greeting'\n${server('text')}`,
    'node_modules/greeting/package.json': '{"name":"greeting","type":"module","exports":"./index.js"}',
    'node_modules/greeting/index.js': "export const text = 'one'\n",
  })
  await sleep(50)
  const dev = await begin(t, folder, env, ...args, '--no-install')
  t.equal(await ask(), 'one')
  write(folder, 'node_modules/greeting/index.js', "export const text = 'two'\n")
  write(folder, 'server.js', `import { text } from 'greeting'\n${server('`${text}!`')}`)
  t.match(await dev.next(), { outcome: 'serving', changed: ['server.js'] })
  t.match(await dev.next(), { outcome: 'serving', changed: ['node_modules/greeting/index.js'] })
  t.equal(await ask(), 'two!')
  write(folder, 'node_modules/greeting/index.js', "export const text = 'three'\n")
  write(folder, 'node_modules/.package-lock.json', '{}')
  t.match(await dev.next(), { outcome: 'serving' })
  t.equal(await ask(), 'three!')
})

await test('what is saved while a release starts takes its place', async (t) => {
  const { folder, env, ask, args } = await world(t)
  const dev = await begin(t, folder, env, ...args)
  write(folder, 'server.js', `await new Promise((resolve) => setTimeout(resolve, 20_000))\n${server("'slow'")}`)
  await eventually(() => dev.running.output().includes('outcome') && isStarting(folder), dev.running.output)
  write(folder, 'server.js', server("'quick'"))
  t.match(await dev.next(), { outcome: 'superseded' })
  t.match(await dev.next(), { outcome: 'serving' })
  t.equal(await ask(), 'quick')
})

await test('of a hundred saves in a row the last one serves, and nothing is left over', async (t) => {
  const { folder, env, ask, args } = await world(t)
  const dev = await begin(t, folder, env, ...args)
  for (let count = 1; count <= 100; count += 1) {
    write(folder, 'server.js', server(`'save ${count}'`))
    await new Promise((resolve) => setTimeout(resolve, (count % 10) * 12))
  }
  await eventually(async () => (await ask()) === 'save 100', dev.running.output)
  await eventually(() => dev.last().outcome === 'serving', dev.running.output)
  t.notMatch(dev.running.output(), /"failed"/)
  // Processes that still finish what they were asked keep their release, up to AETHER_DRAIN_LIMIT_MS.
  const onDisk = (name: string) => readdirSync(join(workFolder(folder), 'data', name)).length
  let count = 100
  await eventually(async () => {
    count += 1
    write(folder, 'server.js', server(`'save ${count}'`))
    await eventually(async () => (await ask()) === `save ${count}`, dev.running.output)
    return onDisk('workspace/releases') <= 5 && onDisk('staging') === 0
  }, dev.running.output)
  dev.running.kill('SIGTERM')
  t.match(await dev.running.ended, { code: 143 })
  t.strictSame(leftIn(folder), [])
})

await test('an agent that ends is said and started again by the next save; ours by SIGKILL ends the agents too', async (t) => {
  const { folder, env, ask, args } = await world(t, { 'server.js': server('String(process.ppid)') })
  const dev = await begin(t, folder, env, ...args)
  process.kill(Number(await ask()), 'SIGKILL')
  write(folder, 'server.js', `${server('String(process.ppid)')}// 2\n`)
  await dev.next()
  write(folder, 'server.js', `${server('String(process.ppid)')}// 3\n`)
  await eventually(() => dev.last().outcome === 'serving' && dev.count() > 2, dev.running.output)
  const supervisor = Number(await ask())
  dev.running.kill('SIGKILL')
  await dev.running.ended
  await eventually(() => isGone(supervisor) && countProcesses(folder) === 0)
  await t.rejects(ask(), { code: 'ECONNREFUSED' })
})

await test('it signs with a key of its own, made once and readable by its user alone', async (t) => {
  const { folder, env, args } = await world(t)
  const first = await begin(t, folder, env, ...args)
  first.running.kill('SIGINT')
  await first.running.ended
  const file = join(env.XDG_CONFIG_HOME, 'aether/dev-signing.pem')
  t.equal(statSync(file).mode & 0o777, 0o600)
  const made = readFileSync(file, 'utf8')
  t.match(made, /^-----BEGIN AETHER DEVELOPMENT KEY-----\n/)
  chmodSync(file, 0o644)
  const second = await begin(t, folder, env, ...args)
  t.match(second.running.output(), /warning: .*dev-signing\.pem holds a secret and can be read by others/)
  t.equal(readFileSync(file, 'utf8'), made)
  t.match(await run(t, ['pack'], { cwd: folder, env: { ...env, AETHER_SIGNING_KEY: file } }), {
    code: cliExitCodes.config,
    stderr: /is the one of aether dev, which signs no release/,
  })
  write(folder, '../config/aether/dev-signing.pem', 'no key\n')
  t.match(await run(t, ['dev', '--hot', '--local', '--port', String(await freePort())], { cwd: folder, env }), {
    code: cliExitCodes.config,
    stderr: /dev-signing\.pem is not a development key/,
  })
})

await test('what cannot work is said at once: a port that is taken, two places, flags of another place, a second one', async (t) => {
  const { folder, env, port, args } = await world(t)
  const says = (...more: readonly string[]) => run(t, ['dev', '--hot', ...more], { cwd: folder, env })
  const other = createServer().listen(port)
  t.match(await says(...args), {
    code: 1,
    stderr: new RegExp(`port ${port} of this machine is taken by another process\nnext: .*--port`),
  })
  await new Promise((resolve) => other.close(resolve))
  t.match(await says('--local', '--pods'), { code: 2, stderr: /two places/ })
  t.match(await says('--local', '--replicas', '2'), { code: 2, stderr: /--replicas means nothing with --local/ })
  write(folder, '.aether.json', '{"place":"moon"}')
  t.match(await says(), { code: 10, stderr: /place is "moon"\nnext: write one of control, pods, local/ })
  write(folder, '.aether.json', `{"place":"local","port":${port}}`)
  const dev = await begin(t, folder, env)
  t.match(dev.last(), { outcome: 'serving' })
  t.match(await says('--port', String(await freePort())), { code: 1, stderr: /aether dev of shop runs already/ })
  t.strictSame(recordsOf(dev.running).length, 1)
})

/** It takes its agents along before the folder is removed. */
async function begin(t: Test, ...args: [string, Readonly<Record<string, string>>, ...string[]]) {
  const dev = await startDev(t, ...args)
  t.teardown(async () => {
    dev.running.kill('SIGINT')
    await dev.running.ended
  })
  return dev
}

/** Of those that have a path in the folder of a test in their environment. */
function countProcesses(folder: string): number {
  const home = join(folder, '..')
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`=${home}`)
    } catch {
      return false
    }
  }).length
}

async function world(t: Test, files: Readonly<Record<string, string>> = {}) {
  // Before testdir: otherwise tap would remove it under the processes.
  t.teardown(() => {})
  const home = t.testdir({ app: {}, tmp: {}, home: {}, config: {} })
  const folder = join(home, 'app')
  const all = { 'package.json': manifest, 'server.js': server("'one'"), ...files }
  for (const [name, text] of Object.entries(all)) write(folder, name, text)
  const port = await freePort()
  const env = {
    npm_config_offline: 'true',
    npm_config_update_notifier: 'false',
    HOME: join(home, 'home'),
    TMPDIR: join(home, 'tmp'),
    XDG_STATE_HOME: join(home, 'state'),
    XDG_CONFIG_HOME: join(home, 'config'),
  }
  const ask = () =>
    new Promise<string>((resolve, reject) => {
      get({ port, host: '127.0.0.1', agent: false }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
        response.on('end', () => resolve(text)).on('error', reject)
      }).on('error', reject)
    })
  return { folder, env, port, ask, args: ['--local', '--port', String(port)] }
}

function workFolder(folder: string): string {
  const tmp = join(folder, '../tmp')
  return join(tmp, readdirSync(tmp).find((name) => name.startsWith('aether-dev-')) ?? 'none')
}

/** Whether the supervisor has taken up an activation that is not decided. */
function isStarting(folder: string): boolean {
  return readFileSync(join(workFolder(folder), 'run/supervisor.json'), 'utf8').includes('"outcome":"pending"')
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}
