// aether dev against the real control without a cluster: what becomes of saves, good and bad, and what is left at the end.
import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { test } from 'tap'
import { eventually } from '../test-control.ts'
import { run, start } from '../test-run.ts'
import { leftIn, part, recordsOf, startDev, statusOf, world, write } from './test-dev.ts'

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

await test('the key of this machine signs for environments of development, once control knows it, and for no other', async (t) => {
  const { folder, env, control } = await world(
    t,
    {},
    {
      AETHER_REQUIRE_SIGNATURE: 'true',
      AETHER_DEVELOPMENT_ENVIRONMENTS: 'development,preview',
    },
  )
  let isWell = true
  control.playAgents(() => (isWell ? 'ok' : 'fail'))
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
  isWell = false
  write(folder, 'server.js', '// 3\n')
  t.match(await running.next(), {
    outcome: 'failed',
    error: { code: 'unhealthy', message: /^SyntaxError: a brace is missing: shop does not serve .*exit code 7$/ },
  })
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
