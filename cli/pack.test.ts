// aether pack as a process: what goes into an artifact, what does not, the install in between, and the signature.
import { execFileSync, spawnSync } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cliExitCodes } from '@aether/contract/exit-codes'
import { isObject } from '@aether/contract/json'
import { test } from 'tap'
import { app, leftIn, npmEnv, packJson } from './test-pack.ts'
import { type Ran, run, start } from './test-run.ts'

function entriesOf(file: string): readonly string[] {
  return execFileSync('tar', ['-tzf', file], { encoding: 'utf8' }).trimEnd().split('\n')
}

await test('the same app gives the same digest in any folder; secrets, history and .aetherignore stay out', async (t) => {
  const more = {
    ...app,
    '.env': 'SECRET=hunter2',
    '.env.local': 'SECRET=hunter2',
    'aether-signing.pem': 'hunter2',
    '.npmrc': '//registry/:_authToken=hunter2',
    '.DS_Store': '',
    'npm-debug.log': '',
    '.git': { HEAD: 'x' },
    node_modules: { dev: { 'index.js': '' } },
    dist: { 'app.js': '', 'public.pem': 'kept' },
    test: { 'a.test.js': '', 'keep.js': '' },
    'Test.js': '',
    '.aether.json': '{"app":"shop"}',
    '.aetherignore': '# tests\ntest/*\n!test/keep.js\n!dist/public.pem\n*.log\n',
  }
  const root = t.testdir({ one: more, two: { deep: { other: structuredClone(more) } } })
  const [one, two] = [join(root, 'one'), join(root, 'two/deep/other')]
  chmodSync(join(two, 'server.js'), 0o600)
  symlinkSync('server.js', join(one, 'main.js'))
  symlinkSync('server.js', join(two, 'main.js'))
  const first = await packJson(t, one)
  const second = await packJson(t, two, '--out', join(root, 'out/x.tar.gz'))
  t.equal(second.digest, first.digest)
  t.match(first, { signature: null, file: join(one, '.aether/shop.tar.gz'), ms: { install: Number, pack: Number } })
  const wanted = [
    'Test.js',
    'dist/',
    'dist/app.js',
    'dist/public.pem',
    'main.js',
    'package.json',
    'server.js',
    'test/',
    'test/keep.js',
  ]
  t.strictSame(entriesOf(join(root, 'out/x.tar.gz')).toSorted(), wanted.toSorted())
  t.equal(readFileSync(join(one, '.aether/.gitignore'), 'utf8'), '*\n')
  t.equal((await packJson(t, one)).digest, first.digest, 'its own output is not packed')
  t.notMatch(execFileSync('gzip', ['-dc', join(root, 'out/x.tar.gz')], { encoding: 'latin1' }), 'hunter2')

  const asIs = await packJson(t, one, '--no-install')
  t.ok(entriesOf(String(asIs.file)).includes('node_modules/dev/index.js'), '--no-install takes node_modules as it is')
})

await test('with a key the digest is signed, and the commit is told, dirty or not', async (t) => {
  const cwd = t.testdir({ app })
  const folder = join(cwd, 'app')
  const git = (...args: readonly string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
      cwd: folder,
      encoding: 'utf8',
    })
  git('init', '-q')
  git('add', '-A')
  git('commit', '-qm', 'first')
  const head = git('rev-parse', 'HEAD').trim()
  await run(t, ['keys', 'generate'], { cwd })
  const pem = readFileSync(join(cwd, 'aether-signing.pem'), 'utf8')
  const packs = async (env: Readonly<Record<string, string>>): Promise<Ran> =>
    run(t, ['pack', '--output', 'json'], { cwd: folder, env })
  const byPath = await packs({ AETHER_SIGNING_KEY: '../aether-signing.pem' })
  const record = byPath.json()
  if (!isObject(record)) throw new TypeError('no object')
  t.equal(record.commit, head)
  const [digest, signature] = [String(record.digest), String(record.signature)]
  const key = createPublicKey(readFileSync(join(cwd, 'aether-signing.pub.pem'), 'utf8'))
  t.ok(verify(null, Buffer.from(digest.slice('sha256:'.length)), key, Buffer.from(signature, 'hex')))
  t.notMatch(byPath.stderr, 'not signed')

  writeFileSync(join(folder, 'new.js'), '')
  const byText = (await packs({ AETHER_SIGNING_KEY: pem })).json()
  t.match(byText, { commit: `${head}-dirty`, signature: /^[0-9a-f]{128}$/ }, 'the key itself is taken too')

  chmodSync(join(cwd, 'aether-signing.pem'), 0o644)
  const shared = await packs({ AETHER_SIGNING_KEY: '../aether-signing.pem' })
  t.match(shared, {
    code: 0,
    stderr: /warning: .*aether-signing\.pem holds a secret and can be read by others: chmod 600/,
  })
})

await test('a folder that makes no release is refused with what to do, and nothing is left', async (t) => {
  const link = (path: string) => t.fixture('symlink', path)
  const needs = { 'package.json': '{"name":"shop","dependencies":{"left":"1.0.0"}}' }
  const lock = { name: 'shop', lockfileVersion: 3, packages: { '': { name: 'shop' } } }
  const root = t.testdir({
    tmp: {},
    absolute: { ...app, passwd: link('/etc/passwd') },
    outside: { ...app, lib: { up: link('../../outside/../absolute/server.js') } },
    chained: { ...app, a: link('.'), b: link('a/../../tmp') },
    loop: { ...app, a: link('b'), b: link('a') },
    pnpm: { ...needs, 'pnpm-lock.yaml': '' },
    yarn: { ...needs, 'yarn.lock': '' },
    stale: { ...needs, 'package-lock.json': JSON.stringify(lock) },
    left: { ...app, '.aetherignore': '*\n' },
    fifo: { ...app },
  })
  execFileSync('mkfifo', [join(root, 'fifo/pipe')])
  const { failed, runtime } = cliExitCodes
  const rows: readonly (readonly [string, number, RegExp])[] = [
    ['absolute', failed, /the symlink passwd leads out of the folder, to \/etc\/passwd\nnext: put a copy/],
    ['outside', failed, /the symlink lib\/up leads out of the folder/],
    ['chained', failed, /the symlink b leads out of the folder/],
    ['loop', failed, /the symlink a leads out of the folder, to b/],
    ['pnpm', runtime, /locked by pnpm-lock\.yaml.*npm only\nnext: .*--no-install/],
    ['yarn', runtime, /locked by yarn\.lock/],
    [
      'stale',
      runtime,
      /left@1\.0\.0[^]*error: npm ci --omit=dev --ignore-scripts failed with exit code 1\nnext: .*cd .*stale && npm ci/,
    ],
    ['left', failed, /holds no file/],
    ['fifo', failed, /pipe is neither file, folder nor symlink\nnext: .*\.aetherignore/],
  ]
  for (const [name, code, says] of rows) {
    const cwd = join(root, name)
    const ran = await run(t, ['pack', '--out', 'out.tar.gz'], { cwd, env: { ...npmEnv, TMPDIR: join(root, 'tmp') } })
    t.equal(ran.code, code, `${name}: ${ran.stderr}`)
    t.match(ran.stderr, says)
    t.notOk(existsSync(join(cwd, 'out.tar.gz')))
  }
  t.strictSame(leftIn(join(root, 'tmp')), [], 'no temporary folder is left')
  const cwd = join(root, 'pnpm')
  t.match(await run(t, ['pack', '--no-install'], { cwd }), { code: 0 })
  t.match(await run(t, ['pack', '--no-install', '--out', 'package.json/x.tar.gz'], { cwd }), {
    code: cliExitCodes.io,
    stderr: /package\.json.*\((?:EEXIST|ENOTDIR)\)\nnext: check the path/,
  })
})

await test('an install runs no script unless it is allowed, keeps no token, and ends with Ctrl-C', async (t) => {
  const root = t.testdir({
    tmp: {},
    dep: {
      'package.json': JSON.stringify({ name: 'dep', version: '1.0.0', scripts: { install: 'echo ran > ran.txt' } }),
      'i.js': '',
    },
    app: { ...app, '.npmrc': 'fund=false\n//registry.invalid/:_authToken=hunter2\n' },
    slow: { 'package.json': '{"name":"slow","dependencies":{"x":"1"}}' },
    bin: { npm: '#!/bin/sh\necho begun > "$TMPDIR/begun"\nexec sleep 60\n' },
  })
  execFileSync('npm', ['pack', '--silent', '--pack-destination', join(root, 'app')], { cwd: join(root, 'dep') })
  writeFileSync(join(root, 'app/package.json'), '{"name":"shop","dependencies":{"dep":"file:dep-1.0.0.tgz"}}')
  const plain = await run(t, ['pack'], { cwd: join(root, 'app'), env: npmEnv })
  t.match(plain, { code: 0, stderr: /there is no package-lock\.json: two packs may differ/ })
  const entries = entriesOf(join(root, 'app/.aether/shop.tar.gz'))
  t.ok(entries.includes('node_modules/dep/i.js'))
  t.notOk(
    entries.some((path) => /ran\.txt|\.npmrc/.test(path)),
    'neither script nor .npmrc',
  )
  t.match(await run(t, ['pack', '--allow-scripts'], { cwd: join(root, 'app'), env: npmEnv }), { code: 0 })
  t.ok(entriesOf(join(root, 'app/.aether/shop.tar.gz')).includes('node_modules/dep/ran.txt'))

  chmodSync(join(root, 'bin/npm'), 0o755)
  const env = { ...npmEnv, TMPDIR: join(root, 'tmp'), PATH: `${join(root, 'bin')}:${process.env.PATH ?? ''}` }
  const slow = start(t, ['pack'], { cwd: join(root, 'slow'), env })
  while (!existsSync(join(root, 'tmp/begun'))) await new Promise((resolve) => setTimeout(resolve, 20))
  slow.kill('SIGTERM')
  t.match(await slow.ended, { code: 143, stderr: /interrupted/ })
  t.strictSame(leftIn(join(root, 'tmp')), [], 'no temporary folder is left')
})

await test('a real app with a dependency of the registry is installed for production, twice the same', async (t) => {
  const root = t.testdir({ a: {}, b: {} })
  const example = new URL('../examples/fastify', import.meta.url).pathname
  for (const name of ['a', 'b']) {
    cpSync(example, join(root, name), { recursive: true, filter: (path) => !path.includes('node_modules') })
    const manifest: unknown = JSON.parse(readFileSync(join(root, name, 'package.json'), 'utf8'))
    const changed = { ...(isObject(manifest) ? manifest : {}), devDependencies: { 'is-number': '7.0.0' } }
    writeFileSync(join(root, name, 'package.json'), JSON.stringify(changed))
  }
  execFileSync('npm', ['install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--silent'], {
    cwd: join(root, 'a'),
  })
  cpSync(join(root, 'a/package-lock.json'), join(root, 'b/package-lock.json'))
  const [first, second] = [await packJson(t, join(root, 'a')), await packJson(t, join(root, 'b'))]
  t.equal(second.digest, first.digest)
  mkdirSync(join(root, 'out'))
  execFileSync('tar', ['-xzf', String(first.file), '-C', join(root, 'out')])
  t.ok(existsSync(join(root, 'out/node_modules/fastify/package.json')))
  t.notOk(existsSync(join(root, 'out/node_modules/is-number')), 'nothing for development')
})

await test('with --compile-cache the app is started once in a copy, and what V8 made of it is in the artifact', async (t) => {
  const source = `const { writeFileSync } = require('node:fs')
const { answer } = require('./library.cjs')
writeFileSync('left-behind.txt', JSON.stringify(process.env))
writeFileSync(process.env.SEEN, JSON.stringify({ names: Object.keys(process.env), port: process.env.PORT }))
require('node:http').createServer((_, response) => response.end(answer)).listen(process.env.PORT)
if (process.env.ENDS) process.exit()`
  const manifest = (command: string) => JSON.stringify({ name: 'shop', scripts: { start: command } })
  const root = t.testdir({
    app: {
      'package.json': manifest('MODE=x node app.cjs'),
      'app.cjs': source,
      'library.cjs': "exports.answer = 'here'",
    },
    tmp: {},
    out: {},
  })
  const [folder, file, seen] = [join(root, 'app'), join(root, 'shop.tar.gz'), join(root, 'seen.json')]
  const env = { ...npmEnv, TMPDIR: join(root, 'tmp'), SEEN: seen, AETHER_TOKEN: 'hunter2' }
  const pack = (...args: readonly string[]) =>
    run(t, ['pack', '--out', file, '--output', 'json', ...args], { cwd: folder, env })

  const packed = await pack('--compile-cache')
  t.match(packed, { code: 0 }, packed.stderr)
  t.match(packed.json(), { compileCache: { version: `${process.version}-`, files: 2 } })
  const cached = entriesOf(file).filter((path) => /^\.aether\/compile-cache\/v[^/]+\/[0-9a-f]{8}$/.test(path))
  t.equal(cached.length, 2)
  t.notOk(entriesOf(file).includes('left-behind.txt'))
  t.match(JSON.parse(readFileSync(seen, 'utf8')), { port: '0' })
  t.notMatch(readFileSync(seen, 'utf8'), /AETHER_TOKEN|NODE_OPTIONS/)
  t.strictSame(leftIn(env.TMPDIR), [])

  // As in a pod: at another path.
  execFileSync('tar', ['-xzf', file, '-C', join(root, 'out')])
  const unpacked = join(root, 'out')
  const variables = [`NODE_COMPILE_CACHE=${unpacked}/.aether/compile-cache`, 'NODE_COMPILE_CACHE_PORTABLE=1']
  // By env(1), because tap puts its loaders into the environment of whatever is spawned here.
  const args = ['-i', ...variables, 'NODE_DEBUG_NATIVE=COMPILE_CACHE', 'ENDS=yes', `SEEN=${seen}`]
  const options = { cwd: unpacked, encoding: 'utf8', timeout: 10_000 } as const
  const { stderr } = spawnSync('env', [...args, process.execPath, 'app.cjs'], options)
  for (const name of ['app.cjs', 'library.cjs']) t.ok(stderr.includes(`${unpacked}/${name} was accepted`), name)

  const before = entriesOf(file)
  writeFileSync(join(folder, 'app.cjs'), `${source}\nsetTimeout(() => process.exit(3), 1)`)
  const ended = await pack('--compile-cache')
  t.match(ended, { code: 0, stderr: /the app ended by itself \(exit code 3\)/ })
  t.strictSame(entriesOf(file).length, before.length)
  writeFileSync(join(folder, 'package.json'), manifest('no-such-program'))
  const none = await pack('--compile-cache')
  t.equal(none.code, cliExitCodes.runtime)
  t.match(none.json(), { error: { message: /made no compile cache when it was started \(exit code 127\)/ } })
  t.strictSame(leftIn(env.TMPDIR), [])
})
