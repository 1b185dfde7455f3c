// Trees all the way: aether deploy, the real control, and the real fetcher, which takes what changed from it.
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isObject } from '@aether/contract/json'
import { parseMarker } from '@aether/contract/markers'
import { type Test, test } from 'tap'
import { eventually, startControl } from './test-control.ts'
import { run } from './test-run.ts'

const fetcherMain = new URL('../agents/fetcher/main.ts', import.meta.url).pathname

await test('the fetcher takes all of the first release from control, and of the next one what changed', async (t) => {
  const { deploy, folder, control, root } = await createWorld(t)
  const fetcher = startFetcher(t, root, control.url)
  const first = deploy()
  await eventually(() => fetcher.oks().length >= 1, fetcher.output)
  t.match(fetcher.oks()[0], { source: 'full' })
  t.match(await first, { uploaded: true, created: true, status: 'running' })

  writeFileSync(join(folder, 'server.js'), '// 2\n')
  const second = await deploy()
  t.match(second, { uploaded: true, sent: { objects: 2 }, status: 'running' })
  const [, delta] = fetcher.oks()
  t.match(delta, { source: 'delta' })
  t.ok(Number(delta?.['bytes']) < 600, `${delta?.['bytes']} bytes came`)

  // Back to what control has: nothing is sent, and the way back is a delta too.
  writeFileSync(join(folder, 'server.js'), '// 1\n')
  t.match(await deploy(), { uploaded: false, status: 'running' })
  await eventually(() => fetcher.oks().length >= 3, fetcher.output)
  t.match(fetcher.oks()[2], { reused: 'true' })

  // A base that is not the release before, which this pod never had anything of but by deltas.
  for (const n of [3, 4]) {
    appendFileSync(join(folder, 'lib/part-7.js'), `// ${n}\n`)
    t.match(await deploy(), { uploaded: true })
  }
  t.match(fetcher.oks().slice(3), [{ source: 'delta' }, { source: 'delta' }])
  t.notMatch(fetcher.output(), 'given up')
})

await test('an unchanged folder is neither read nor installed again, and a full check reads all of it', async (t) => {
  const { deploy, folder, cache: base, env } = await createWorld(t, { withModules: true })
  const first = await deploy('--dry-run')
  t.match(first, { dry_run: true, would_upload: true, entries: Number })
  const cache = join(base, 'aether/deploy')
  const state = join(cache, onlyIn(cache), 'state')
  const installed = join(cache, onlyIn(cache), 'installed/node_modules/dep/index.js')
  t.equal(readFileSync(installed, 'utf8'), 'exports.a = 1\n')

  const again = await deploy('--dry-run')
  t.equal(again.digest, first.digest)

  // What somebody wrote into the kept modules is no release: they are installed anew.
  appendFileSync(installed, '// mine\n')
  t.equal((await deploy('--dry-run')).digest, first.digest)
  t.equal(readFileSync(installed, 'utf8'), 'exports.a = 1\n')

  // A cache that is damaged, another one, or a link counts as none.
  const text = readFileSync(state, 'utf8')
  for (const harm of [
    () => writeFileSync(state, text.replace('"server.js"', '"server.mjs"')),
    () => writeFileSync(state, text.slice(0, -20)),
    () => writeFileSync(state, 'nothing'),
    () => {
      rmSync(state)
      symlinkSync('/dev/zero', state)
    },
  ]) {
    harm()
    t.equal((await deploy('--dry-run')).digest, first.digest)
  }

  // One that lies, and is whole: what it says of a file is not what is sent.
  const lying = readFileSync(state, 'utf8')
  const body = lying.slice(65).replace(/("server\.js",[^\]]*")[0-9a-f]{64}/, `$1${'a'.repeat(64)}`)
  writeFileSync(state, `${createHash('sha256').update(body).digest('hex')}\n${body}`)
  t.not((await deploy('--dry-run')).digest, first.digest)
  t.equal((await deploy('--dry-run', '--full-check')).digest, first.digest)
  writeFileSync(state, `${createHash('sha256').update(body).digest('hex')}\n${body}`)
  const sent = await run(t, ['deploy', '--dev-hot', '--timeout', '1'], { cwd: folder, env })
  t.match(sent.stderr, /server\.js changed while it was packed[^]*every file is read again/)
  t.match(sent.stdout, `digest     ${String(first.digest)}`)
})

function onlyIn(folder: string): string {
  const [name = '', ...more] = readdirSync(folder)
  if (more.length > 0) throw new Error(`${folder} has more than one entry`)
  return name
}

async function createWorld(t: Test, { withModules = false } = {}) {
  const needs = withModules ? { dependencies: { dep: 'file:dep-1.0.0.tgz' } } : {}
  const lib = Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`part-${at}.js`, `export default ${at}\n`]))
  const root = t.testdir({
    app: {
      'package.json': JSON.stringify({ name: 'shop', scripts: { start: 'node server.js' }, ...needs }),
      'server.js': '// 1\n',
      lib,
    },
    dep: { 'package.json': '{"name":"dep","version":"1.0.0"}', 'index.js': 'exports.a = 1\n' },
    data: {},
    run: {},
    control: {},
  })
  const folder = join(root, 'app')
  if (withModules)
    execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: join(root, 'dep'), stdio: 'ignore' })
  const control = await startControl(t, join(root, 'control'))
  const cache = join(root, 'cache')
  const env = { AETHER_URL: control.url, AETHER_TOKEN: control.token, XDG_CACHE_HOME: cache, HOME: root }
  t.match(await run(t, ['apps', 'create', 'shop'], { cwd: folder, env }), { code: 0 })
  const deploy = async (...args: readonly string[]) => {
    const ran = await run(t, ['deploy', '--dev-hot', ...args, '--output', 'json'], { cwd: folder, env })
    t.equal(ran.code, 0, ran.stderr)
    const value = ran.json()
    return isObject(value) ? value : {}
  }
  return { root, folder, control, cache, env, deploy }
}

/** Without a supervisor: a release serves when it is active on disk. */
function startFetcher(t: Test, root: string, controlUrl: string) {
  const target = join(root, 'control/targets/default/shop')
  const env = {
    PATH: process.env.PATH ?? '',
    AETHER_APP: 'shop',
    AETHER_FETCH_MODE: 'file',
    AETHER_ANNOTATIONS_FILE: join(target, 'annotations'),
    AETHER_CONTROL_URL: controlUrl,
    AETHER_CONTROL_TOKEN_FILE: join(target, 'token'),
    AETHER_DATA_DIR: join(root, 'data'),
    AETHER_RUN_DIR: join(root, 'run'),
    AETHER_REQUIRE_SIGNATURE: 'false',
    AETHER_MIN_REFRESH_INTERVAL_MS: '0',
    AETHER_HEALTH_HOST: '127.0.0.1',
    AETHER_HEALTH_PORT: '0',
  }
  const words = Object.entries(env).map((pair) => pair.join('='))
  const child = spawn('env', ['-i', ...words, process.execPath, fetcherMain], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  return {
    output: () => output,
    oks: () =>
      output.split('\n').flatMap((line) => {
        const marker = parseMarker(line)
        return marker?.kind === 'ok' ? [marker.pairs] : []
      }),
  }
}
