// aether dev against the real control without a cluster: what becomes of saves, good and bad, and what is left at the end.
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { cliExitCodes } from '@aether/contract/exit-codes'
import { type Test, test } from 'tap'
import { eventually, startControl } from '../test-control.ts'
import { run, start } from '../test-run.ts'
import { leftIn, part, recordsOf, startDev, write } from './test-dev.ts'

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'needs root: it mounts a small tmpfs' }
const shop = { 'package.json': '{"name":"shop"}', 'server.js': '// 1\n' }

await test('a save serves, a burst is one, and what is left out or saved unchanged is none', async (t) => {
  const { folder, env, control } = await world(t, { '.aetherignore': 'notes\n', 'lib/a.js': '// a\n' })
  control.playAgents()
  const dev = await startDev(t, folder, env)
  t.match(dev.last(), {
    outcome: 'serving',
    changed_count: 3,
    digest: /^sha256:/,
    error: null,
    ms: { pack: Number, upload: Number },
  })

  write(folder, 'server.js', '// 2\n')
  t.match(await dev.next(), { outcome: 'serving', changed: ['server.js'], ms: { total: Number, serving: Number } })

  for (const name of ['a', 'b', 'c', 'd']) write(folder, `lib/${name}.js`, `// ${name} of a burst\n`)
  rmSync(join(folder, 'server.js'))
  write(folder, 'server.js', '// 3\n')
  t.match(await dev.next(), { outcome: 'serving', changed_count: 5 })

  // None of these is to bring a line; the save after them is the next one.
  write(folder, 'notes/today', 'x')
  write(folder, 'node_modules/pkg/index.js', 'x')
  write(folder, '.env', 'SECRET=x')
  write(folder, 'server.js', '// 3\n')
  write(folder, 'lib/e.js', '// e\n')
  const after = await dev.next()
  t.match(after, { outcome: 'serving', changed: ['lib/e.js'] })

  write(folder, '.aetherignore', 'notes\nlib/e.js\n')
  const without = await dev.next()
  t.match(without, { outcome: 'serving', changed: ['lib/e.js'] }, 'a new rule takes a file out')
  write(folder, '.aetherignore', 'lib/e.js\n')
  t.match(await dev.next(), { outcome: 'serving', changed: ['notes/today'] }, 'and lets a folder in')
  write(folder, 'notes/today', 'y')
  t.match(await dev.next(), { outcome: 'serving', changed: ['notes/today'] }, 'which is watched from then on')
  rmSync(join(folder, 'lib/a.js'))
  write(folder, 'lib/a.js/index.js', '// a\n')
  const served = await dev.next()
  t.match(served, { outcome: 'serving', changed: ['lib/a.js', 'lib/a.js/index.js'] }, 'a file that becomes a folder')
  symlinkSync('/etc/hostname', join(folder, 'host'))
  t.match(await dev.next(), { outcome: 'failed', error: { message: /the symlink host leads out of the folder/ } })
  write(folder, 'server.js', '// 4\n')
  t.match(await dev.next(), { outcome: 'failed', changed: ['host', 'server.js'] }, 'and goes on being refused')
  rmSync(join(folder, 'host'))
  t.match(await dev.next(), { outcome: 'serving', changed: ['host', 'server.js'] })
  t.equal(dev.count(), 11)
  const shown = (await run(t, ['status', 'shop', '--output', 'json'], { cwd: folder, env })).json()
  t.match(shown, { deployment: { status: 'running', digest: dev.last().digest, dev_hot: true } })
})

await test('code that does not come up is one line with its error while the last good one serves, and the next save heals it', async (t) => {
  const { folder, env, control } = await world(t)
  control.playAgents((_, count) => (count === 1 ? 'fail' : 'ok'))
  const dev = start(t, ['dev', '--hot', '--no-logs'], { cwd: folder, env })
  await eventually(() => dev.output().includes('serving'), dev.output)
  write(folder, 'server.js', 'process.exit(7)\n')
  await eventually(() => /\nfailed .*serves on/.test(dev.output()), dev.output)
  t.match(
    dev.output(),
    /\nfailed +server\.js: copy .*serving \d+ ms, in all .*; shop does not serve [0-9a-f]{12}: .*exit code 7 \(unhealthy\); [0-9a-f]{12} serves on\n/,
  )
  write(folder, 'server.js', '// better\n')
  await eventually(
    () => /\nserving +server\.js: copy \d+ ms, pack \d+ ms, upload \d+ ms, deploy/.test(dev.output()),
    dev.output,
  )
  dev.kill('SIGINT')
  t.match(await dev.ended, {
    code: 130,
    stdout: /\nend +shop in default goes on serving [0-9a-f]{12}; aether stop shop ends it\n/,
  })
  t.strictSame(leftIn(folder), [], 'no temporary folder and no lock is left')
})

await test('saves during a refresh are one more, by the last of them; what was stopped or moved meanwhile is said', async (t) => {
  const { folder, env, control } = await world(t)
  const dev = start(t, ['dev', '--hot', '--no-logs', '--output', 'json'], { cwd: folder, env })
  // No agents yet: the first one waits.
  await eventually(async () => (await statusOf(t, folder, env)) !== undefined)
  write(folder, 'server.js', '// 2\n')
  await eventually(() => dev.output().includes('superseded'), dev.output)
  control.playAgents()
  await eventually(() => dev.output().includes('"outcome":"serving"'), dev.output)
  const [, second] = recordsOf(dev)
  t.match(second, { outcome: 'serving', digest: await statusOf(t, folder, env) })
  const first = recordsOf(dev)[0]

  t.match(await run(t, ['rollback', 'shop', '--to', String(first?.digest)], { cwd: folder, env }), { code: 0 })
  write(folder, 'server.js', '// 3\n')
  await eventually(() => recordsOf(dev).length === 3, dev.output)
  t.match(dev.output(), /warning: shop was moved to [0-9a-f]{12} meanwhile by me \(rollback\): this save moves it on/)
  t.match(await run(t, ['stop', 'shop', '--yes'], { cwd: folder, env }), { code: 0 })
  write(folder, 'server.js', '// 4\n')
  await eventually(() => recordsOf(dev).length === 4, dev.output)
  t.match(dev.output(), /warning: shop was stopped meanwhile by me \(stop\): this save deploys it anew/)
  t.match(recordsOf(dev)[3], { outcome: 'serving', digest: await statusOf(t, folder, env) })
})

await test('a build step runs before each pack, shows its output where it fails, and what it writes starts nothing', async (t) => {
  const { folder, env, control } = await world(t, {
    '.aetherignore': 'builds\n',
    'build.sh':
      'echo ran >> builds; mkdir -p dist; cp server.js dist/out.js; grep -q oops server.js && { echo "server.js: oops"; exit 3; }; true',
  })
  control.playAgents()
  const dev = await startDev(t, folder, env, '--build', 'sh build.sh')
  write(folder, 'server.js', '// 2\n')
  t.match(await dev.next(), { outcome: 'serving', changed: ['server.js', 'dist/out.js'], ms: { build: Number } })
  write(folder, 'server.js', '// oops\n')
  t.match(await dev.next(), {
    outcome: 'failed',
    stage: 'build',
    error: { message: 'the build failed with exit code 3: sh build.sh', detail: ['server.js: oops'] },
  })
  write(folder, 'server.js', '// 2\n')
  t.match(await dev.next(), { outcome: 'unchanged' }, 'back to what serves')
  t.equal(readFileSync(join(folder, 'builds'), 'utf8'), 'ran\n'.repeat(4))
})

await test('a new dependency is installed, and stays between saves; one that cannot be installed is said', async (t) => {
  const { folder, env, control } = await world(t, { 'lib/one/package.json': '{"name":"one","version":"1.0.0"}' })
  control.playAgents()
  const dev = await startDev(t, folder, env)
  t.notOk('install' in part(dev.last(), 'ms') && Number(part(dev.last(), 'ms').install) > 1_000)
  write(folder, 'package.json', '{"name":"shop","dependencies":{"one":"file:./lib/one"}}')
  const added = await dev.next()
  t.match(added, { outcome: 'serving', changed: ['package.json'], ms: { install: Number } })
  t.match(dev.running.output(), /install +the dependencies changed/)
  write(folder, 'server.js', '// 2\n')
  t.notOk('install' in part(await dev.next(), 'ms'), 'not again')

  const hex = String(dev.last().digest).replace('sha256:', '')
  const full = await fetch(`${control.url}/artifacts/${hex}.full`, {
    headers: { authorization: `Bearer ${control.token}` },
  })
  const tar = zstdDecompressSync(Buffer.from(await full.arrayBuffer()))
  t.match(execFileSync('tar', ['-t'], { input: tar, encoding: 'utf8' }), /^node_modules\/one$/m)

  write(folder, 'package.json', '{"name":"shop","dependencies":{"two":"1.0.0"}}')
  t.match(await dev.next(), { outcome: 'failed', stage: 'install', error: { kind: 'runtime' } })
  write(folder, 'package.json', '{"name":')
  t.match(await dev.next(), { outcome: 'failed', error: { kind: 'config', message: /package\.json is not JSON/ } })
  write(folder, 'package.json', '{"name":"shop"}')
  t.match(await dev.next(), { outcome: 'serving' })
})

await test('control that is away is waited for; a folder that goes ends it', async (t) => {
  const { folder, env, control, data } = await world(t)
  control.playAgents()
  const dev = await startDev(t, folder, env)
  await control.stop()
  write(folder, 'server.js', '// 2\n')
  await eventually(() => dev.running.output().includes('it goes on by itself'), dev.running.output)
  t.match(dev.running.output(), /warning: control does not answer at .*ECONNREFUSED.*\n/)
  const port = new URL(control.url).port
  const again = await startControl(t, data, { AETHER_CONTROL_LISTEN_PORT: port })
  again.playAgents()
  t.match(await dev.next(), { outcome: 'serving', changed: ['server.js'] })
  renameSync(folder, `${folder}-away`)
  t.match(await dev.running.ended, {
    code: cliExitCodes.io,
    stderr: /app is gone\nnext: start aether dev where it is now/,
  })
})

await test(
  'a disk that is full is said, the last good release serves on, and it goes on by itself',
  needsRoot,
  async (t) => {
    const { folder, env, control } = await world(t)
    const volume = mkdtempSync(join(tmpdir(), 'aether-volume-'))
    const mount = (options: string) => execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', volume])
    mount('size=512k')
    t.teardown(() => {
      execFileSync('umount', ['-l', volume])
      rmSync(volume, { recursive: true })
    })
    control.playAgents()
    const dev = await startDev(t, folder, { ...env, TMPDIR: volume })
    write(folder, 'large.bin', 'x'.repeat(1024 ** 2))
    await eventually(() => dev.running.output().includes('it goes on by itself'), dev.running.output)
    t.match(dev.running.output(), /warning: .*(ENOSPC|no space left).*; it goes on by itself when that is over/)
    t.equal(await statusOf(t, folder, env), dev.last().digest)
    mount('remount,size=8m')
    t.match(await dev.next(), { outcome: 'serving', changed: ['large.bin'] })
  },
)

await test('what cannot work is said at once: no --hot, an unknown app, no token, no signature, and a second one', async (t) => {
  const { folder, env, control } = await world(t, {}, { AETHER_REQUIRE_SIGNATURE: 'true' })
  control.playAgents()
  const says = (args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    run(t, ['dev', ...args], { cwd: folder, env: { ...env, ...more } })
  t.match(await says([]), { code: 2, stderr: /one way of working so far\nnext: write aether dev --hot/ })
  t.match(await says(['--hot', '--app', 'other']), { code: 1, stderr: /control has no app other \(unknown_app/ })
  t.match(await says(['--hot'], { AETHER_TOKEN: '' }), { code: 10, stderr: /no token was shown/ })
  t.match(await says(['--hot', '--no-logs']), { code: 1, stderr: /signature_required/ })
  t.match(await says(['--hot'], { AETHER_URL: 'http://127.0.0.1:9' }), { code: 40 })
  t.strictSame(leftIn(folder), [])

  await run(t, ['keys', 'generate', '--out', '..'], { cwd: folder, env })
  t.match(await run(t, ['keys', 'add', 'shop', '../aether-signing.pub.pem'], { cwd: folder, env }), { code: 0 })
  const signed = { ...env, AETHER_SIGNING_KEY: '../aether-signing.pem' }
  const dev = await startDev(t, folder, signed)
  t.match(await says(['--hot'], signed), {
    code: 1,
    stderr: /aether dev of shop runs already: process \d+, in .*\/app\nnext: end that one first \(kill/,
  })
  dev.running.kill('SIGKILL')
  await dev.running.ended
  const next = await startDev(t, folder, signed)
  t.match(next.last(), { outcome: 'serving' }, "the lock of one that was killed is nobody's")
})

await test('the key of this machine signs for environments of development, once control knows it, and for no other', async (t) => {
  const { folder, env, control } = await world(
    t,
    {},
    {
      AETHER_REQUIRE_SIGNATURE: 'true',
      AETHER_DEVELOPMENT_ENVIRONMENTS: 'development,preview',
    },
  )
  control.playAgents()
  const dev = (...more: readonly string[]) => run(t, ['dev', '--hot', '--no-logs', ...more], { cwd: folder, env })
  const unknown = await dev('--environment', 'development')
  t.match(unknown, { code: 1, stderr: /signature_required/ })
  const [, add = ''] = /releases are not signed \(aether (keys add shop \S+ --development)/.exec(unknown.stderr) ?? []
  t.match(await run(t, add.split(' '), { cwd: folder, env }), {
    code: 0,
    stdout: /^shop trusts development key [0-9a-f]{16}$/m,
  })
  t.match(await dev('--environment', 'staging'), { code: 1, stderr: /staging is no environment for those.*\n.*next: / })
  const running = await startDev(t, folder, env, '--environment', 'development')
  t.match(running.last(), { outcome: 'serving' })
  write(folder, 'server.js', '// 2\n')
  const saved = await running.next()
  t.match(saved, { outcome: 'serving' })
  const told = readFileSync(join(folder, '../data/targets/default/shop/annotations'), 'utf8')
  t.match(told, new RegExp(`aether.dev/digest="${String(saved.digest)}"`))
  t.match(told, /aether.dev\/signature="dev:[0-9a-f]{128}"/)
})

await test("the app's logs are in the same window, and a cluster that is not there is said once", async (t) => {
  const { folder, env, control } = await world(t)
  control.playAgents()
  const pods = {
    items: [
      {
        metadata: { name: 'shop-1', uid: 'u' },
        status: { containerStatuses: [{ name: 'app', state: { running: {} } }] },
      },
    ],
  }
  write(
    folder,
    '../bin/kubectl',
    `#!/bin/sh\ncase $1 in get) echo '${JSON.stringify(pods)}' ;; logs) echo hello; exec sleep 60 ;; esac\n`,
  )
  chmodSync(join(folder, '../bin/kubectl'), 0o755)
  const path = `${join(folder, '../bin')}:${process.env.PATH ?? ''}`
  const dev = start(t, ['dev', '--hot'], { cwd: folder, env: { ...env, PATH: path } })
  await eventually(() => /\nshop-1 hello\n/.test(dev.output()) && dev.output().includes('\nserving'), dev.output)
  dev.kill('SIGTERM')
  t.match(await dev.ended, { code: 143 })
  write(folder, '../bin/kubectl', '#!/bin/sh\necho no cluster >&2\nexit 1\n')
  const without = start(t, ['dev', '--hot'], { cwd: folder, env: { ...env, PATH: path } })
  await eventually(() => /logs are not shown: kubectl cannot list/.test(without.output()), without.output)
  await eventually(() => without.output().includes('\nserving'), without.output)
})

async function world(
  t: Test,
  files: Readonly<Record<string, string>> = {},
  settings: Readonly<Record<string, string>> = {},
) {
  const home = t.testdir({ app: shop, data: {}, tmp: {}, home: {} })
  const folder = join(home, 'app')
  for (const [name, text] of Object.entries(files)) write(folder, name, text)
  const data = join(home, 'data')
  const control = await startControl(t, data, settings)
  const env = {
    ...npmEnv(),
    HOME: join(home, 'home'),
    AETHER_URL: control.url,
    AETHER_TOKEN: control.token,
    TMPDIR: join(home, 'tmp'),
    XDG_STATE_HOME: join(home, 'state'),
  }
  t.match(await run(t, ['apps', 'create', 'shop'], { cwd: folder, env }), { code: 0 })
  return { folder, env, control, data }
}

/** What npm needs besides. */
function npmEnv(): Readonly<Record<string, string>> {
  return { npm_config_offline: 'true', npm_config_update_notifier: 'false' }
}

async function statusOf(t: Test, folder: string, env: Readonly<Record<string, string>>): Promise<unknown> {
  const ran = await run(t, ['status', 'shop', '--output', 'json'], { cwd: folder, env })
  return ran.code === 0 ? part(ran.json(), 'deployment').digest : undefined
}
