// The command against the real control without a cluster: from a folder to a serving release, and the faults on the way.
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isObject } from '@aether/contract/json'
import { test } from 'tap'
import { eventually, startControl, startHarm } from './test-control.ts'
import { run, start } from './test-run.ts'

const app = { 'package.json': '{"name":"@acme/Shop","scripts":{"start":"node server.js"}}', 'server.js': '// 1\n' }

await test('from a folder to a serving release, again, back, and away', async (t) => {
  const cwd = t.testdir({ app, control: {} })
  const control = await startControl(t, join(cwd, 'control'))
  control.playAgents()
  const env: Record<string, string> = { AETHER_URL: control.url, AETHER_TOKEN: control.token }
  const folder = join(cwd, 'app')
  const aether = async (...args: readonly string[]) => {
    const ran = await run(t, args, { cwd: folder, env })
    t.equal(ran.code, 0, `${args.join(' ')}: ${ran.stderr}`)
    return ran
  }
  const json = async (...args: readonly string[]) => {
    const ran = await aether(...args, '--output', 'json')
    t.match(ran.stdout, /^\{.*\}\n$/, 'one object, one line')
    const value = ran.json()
    return isObject(value) ? value : {}
  }

  const early = await run(t, ['deploy'], { cwd: folder, env })
  t.match(early, {
    code: 1,
    stderr: /control has no app acme-shop \(unknown_app, request .*\)\nnext: .*aether apps create acme-shop --key/,
  })

  await aether('keys', 'generate', '--out', '../keys')
  t.match(
    (await aether('apps', 'create', 'acme-shop', '--key', '../keys/aether-signing.pub.pem')).stdout,
    /acme-shop trusts key [0-9a-f]{16}/,
  )
  t.match(await json('apps', 'create', 'acme-shop'), { name: 'acme-shop' })
  t.match(await json('apps', 'list'), { items: [{ name: 'acme-shop' }] })
  t.match((await aether('list')).stdout, /nothing is deployed/)

  const unsigned = await run(t, ['deploy'], { cwd: folder, env })
  t.match(unsigned, {
    code: 1,
    stderr: /warning: AETHER_SIGNING_KEY is not set[^]*\(signature_required.*next: set AETHER_SIGNING_KEY/s,
  })

  env.AETHER_SIGNING_KEY = '../keys/aether-signing.pem'
  const rehearsed = await json('deploy', '--dev-hot', '--dry-run')
  t.match(rehearsed, {
    dry_run: true,
    app: 'acme-shop',
    would_upload: true,
    would: 'create',
    signature: /^[0-9a-f]{128}$/,
  })
  t.match((await aether('list')).stdout, /nothing is deployed/, 'and nothing was touched')

  const first = await json('deploy', '--dev-hot', '--env', 'GREETING=hi', '--env', 'TONE=a=b')
  t.match(first, {
    status: 'running',
    uploaded: true,
    created: true,
    digest: rehearsed.digest,
    ms: { pack: Number, install: Number, upload: Number, deploy: Number, serving: Number },
  })
  const again = await json('deploy', '--dev-hot')
  t.match(again, { uploaded: false, created: false, digest: first.digest, deployment: first.deployment })
  await aether('keys', 'generate', '--out', '../next')
  await aether('keys', 'add', 'acme-shop', '../next/aether-signing.pub.pem')
  env.AETHER_SIGNING_KEY = '../next/aether-signing.pem'
  const signedAnew = await json('deploy', '--dev-hot')
  t.match(signedAnew, { uploaded: true, digest: first.digest }, 'the same bytes by another key: its signature is sent')
  t.match(await json('deploy', '--dev-hot'), { uploaded: false }, 'once')

  writeFileSync(join(folder, 'server.js'), '// 2\n')
  const moved = await aether('deploy', '--dev-hot')
  t.match(
    moved.stdout,
    /digest .*\nsize .*\nsignature .*\ncommit .*\ntook .*\nupload +done in .*\ndeploy +acme-shop in default moves in place .*\nserving +[0-9a-f]{12} after/,
  )
  t.equal(moved.stderr, '')

  const shown = (await aether('status')).stdout
  t.match(shown, /^app +acme-shop in default.*\nwanted +sha256:[0-9a-f]{64}, 1 pod\nstatus +running\n/)
  t.match(shown, /POD +SERVES.*\n\S+ +[0-9a-f]{12} +ok +42 ms/)
  t.match(shown, /me +rollout +[0-9a-f]{12} -> [0-9a-f]{12}/)
  t.match(await json('status', 'acme-shop'), {
    deployment: { app: 'acme-shop', dev_hot: true, env: { GREETING: 'hi', TONE: 'a=b' }, events: [{}], pods: [{}] },
  })
  t.match((await aether('list')).stdout, /APP +NAMESPACE +DIGEST.*\nacme-shop +default +[0-9a-f]{12} +running +1 /)

  t.match(await json('rollback'), { to: first.digest, status: 'running' })
  t.match((await aether('rollback', 'acme-shop', '--to', String(first.digest))).stdout, /serving/)
  const unknown = await run(t, ['rollback', '--to', `sha256:${'0'.repeat(64)}`], { cwd: folder, env })
  t.match(unknown, { code: 1, stderr: /\(unknown_artifact, field body\.digest, request / })

  t.match(await run(t, ['stop'], { cwd: folder, env }), {
    code: 2,
    stderr: /no terminal to answer on\nnext: say --yes/,
  })
  t.match((await aether('stop', '--yes')).stdout, /acme-shop in default is stopped/)
  t.match(await run(t, ['status'], { cwd: folder, env }), {
    code: 1,
    stderr: /acme-shop is not deployed in namespace default\nnext: /,
  })
  t.match(await json('deploy', '--dev-hot'), { created: true, uploaded: false })
})

await test('what control, its tokens and its agents refuse is said with its code, and the token is not', async (t) => {
  const cwd = t.testdir({ app, control: {} })
  const control = await startControl(t, join(cwd, 'control'))
  control.playAgents((_, count) => (count === 1 ? 'fail' : 'ok'))
  const folder = join(cwd, 'app')
  const refused = async (args: readonly string[], env: Readonly<Record<string, string>>) => {
    const ran = await run(t, args, { cwd: folder, env: { AETHER_URL: control.url, ...env } })
    t.notMatch(ran.stdout + ran.stderr, 'of-the-test')
    return ran
  }
  t.match(await refused(['list'], {}), {
    code: 10,
    stderr: /no token was shown \(AETHER_TOKEN is not set\) \(unauthorized, .*\nnext: set AETHER_TOKEN/,
  })
  t.match(await refused(['list'], { AETHER_TOKEN: 'wrong-of-the-test' }), {
    code: 10,
    stderr: /shown was the token of AETHER_TOKEN \(unauthorized/,
  })
  t.match(await refused(['apps', 'create', 'acme-shop'], { AETHER_TOKEN: control.readerToken }), {
    code: 10,
    stderr: /shown was the token of AETHER_TOKEN \(forbidden, .*\nnext: use a token whose role/,
  })
  t.match(await refused(['list', '--url', `${control.url}/elsewhere`], { AETHER_TOKEN: control.token }), {
    code: 1,
    stderr: /not_found/,
  })

  const env = { AETHER_TOKEN: control.token, AETHER_SIGNING_KEY: join(cwd, 'aether-signing.pem') }
  t.match(await refused(['apps', 'create', 'acme-shop'], env), { code: 0, stderr: /warning: acme-shop has no key/ })
  t.match(await refused(['keys', 'generate', '--out', '..'], env), { code: 0 })
  t.match(await refused(['keys', 'generate', '--out', '../other'], env), { code: 0 })
  t.match(await refused(['keys', 'add', 'acme-shop', '../other/aether-signing.pub.pem'], env), { code: 0 })
  t.match(await refused(['deploy', '--dev-hot'], env), {
    code: 1,
    stderr: /\(bad_signature, .*\nnext: sign with the private key of one of/,
  })
  t.match(await refused(['keys', 'add', 'acme-shop', '../aether-signing.pub.pem'], env), { code: 0 })
  t.match(await refused(['deploy', '--dev-hot'], env), { code: 0 })

  writeFileSync(join(folder, 'server.js'), 'process.exit(7)\n')
  const failed = await refused(['deploy', '--dev-hot'], env)
  t.match(failed, {
    code: 1,
    stderr: /acme-shop does not serve [0-9a-f]{12}: .*exit code 7.*\(unhealthy\)\nnext: aether status acme-shop/,
  })
  t.match(
    (await refused(['status'], env)).stdout,
    /status +failed: unhealthy: .*[^]*fail unhealthy\/exited of [0-9a-f]{12}/,
  )
})

await test('an answer that is lost, a server that is away for a moment and a cut upload do no harm', async (t) => {
  const cwd = t.testdir({ app, control: {} })
  const control = await startControl(t, join(cwd, 'control'))
  control.playAgents()
  const folder = join(cwd, 'app')
  const env = { AETHER_TOKEN: control.token }
  const isFirst = new Set<string>()
  const once = (what: string) => !isFirst.has(what) && isFirst.add(what) !== undefined
  const harm = await startHarm(t, control.url, ({ method, url = '' }) => {
    if (method === 'GET' && url.startsWith('/apps/') && once('apps')) return 'unavailable'
    if (method === 'POST' && url.endsWith('/objects') && once('upload')) return 'cut'
    if (method === 'POST' && url === '/deployments' && once('create')) return 'lose'
    if (method === 'GET' && url.startsWith('/deployments/') && once('view')) return 'html'
    return 'none'
  })
  t.match(await run(t, ['apps', 'create', 'acme-shop', '--url', control.url], { cwd: folder, env }), { code: 0 })
  const done = await run(t, ['deploy', '--dev-hot', '--url', harm.url], { cwd: folder, env })
  t.match(done, { code: 0, stdout: /serving/ }, done.stderr)
  t.equal(isFirst.size, 4, 'each harm was done')
  const posts = harm.seen.filter((line) => line.startsWith('POST /deployments '))
  t.strictSame(posts, ['POST /deployments lose'], 'a deployment is made once')

  writeFileSync(join(folder, 'server.js'), `// ${'x'.repeat(100_000)}\n`)
  const always = await startHarm(t, control.url, ({ method, url }) =>
    method === 'POST' && url?.endsWith('/objects') === true ? 'cut' : 'none',
  )
  const cut = await run(t, ['deploy', '--dev-hot', '--url', always.url], { cwd: folder, env })
  t.match(cut, { code: 40, stderr: /the connection to control at .* \(--url\) was lost \(\S+\)\nnext: / })
  t.equal(always.seen.filter((line) => /^POST .*\/objects /.test(line)).length, 4)

  const away = await startHarm(t, control.url, () => 'unavailable')
  t.match(await run(t, ['list', '--url', away.url], { cwd: folder, env }), { code: 40, stderr: /answered 503\nnext: / })

  const slow = start(t, ['deploy', '--dev-hot', '--timeout', '1', '--url', control.url], { cwd: folder, env })
  t.match(await slow.ended, { code: 0 })
})

await test('a release that does not come to serve in time is said so, and Ctrl-C ends the wait', async (t) => {
  const cwd = t.testdir({ app, control: {} })
  const control = await startControl(t, join(cwd, 'control')) // no agents
  const folder = join(cwd, 'app')
  const env = { AETHER_TOKEN: control.token, AETHER_URL: control.url, TMPDIR: join(cwd, 'control') }
  t.match(await run(t, ['apps', 'create', 'acme-shop'], { cwd: folder, env }), { code: 0 })
  const late = await run(t, ['deploy', '--dev-hot', '--timeout', '1', '--output', 'json'], { cwd: folder, env })
  t.equal(late.code, 1)
  t.match(late.json(), {
    error: { code: 'timeout', message: /after 1 s: \w+, 0 of 1 pods serve it/, next: /--timeout waits longer/ },
  })
  const stopped = start(t, ['deploy', '--dev-hot'], { cwd: folder, env })
  await eventually(() => stopped.output().includes('moves in place'))
  stopped.kill('SIGINT')
  t.match(await stopped.ended, { code: 130, stderr: /interrupted/ })
  const left = readdirSync(join(cwd, 'control')).filter((name) => name.startsWith('aether-pack-'))
  t.strictSame(left, [], 'no temporary folder is left')
})
