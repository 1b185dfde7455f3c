// A fetcher from its bundle, before and after it has something to do: what a refresh needs is loaded with the first one.
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { test } from 'tap'
import { bundleCommands } from './bundle.ts'
import { agents, root } from './bundles.ts'

// Tells each file as it is loaded, and on SIGUSR2 which of Node's own modules are.
const spy = `const { registerHooks } = require('node:module')
registerHooks({ load(url, context, next) { console.error('file ' + url); return next(url, context) } })
const modules = () => process.moduleLoadList.flatMap((name) => /^NativeModule (.*)$/.exec(name)?.[1] ?? [])
process.on('SIGUSR2', () => console.error('builtins ' + modules().join(' ')))
`
// Words that only the code of each has.
const parts = {
  undici: 'node_modules/undici/',
  noble: 'zip215',
  'tar reader': 'ustar',
  metrics: 'node_modules/prom-client/',
}

await test('an idle fetcher has loaded no HTTP client, no curve and no tar reader, and has them after a refresh', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'aether-idle-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  await bundleCommands(root, agents, join(folder, 'agents'))
  const annotations = join(folder, 'annotations')
  writeFileSync(annotations, '')
  writeFileSync(join(folder, 'spy.cjs'), spy)
  const settings = {
    AETHER_ANNOTATIONS_FILE: annotations,
    AETHER_ARTIFACT_ADDRESSES: 'any',
    AETHER_DATA_DIR: join(folder, 'data'),
    AETHER_FETCH_MODE: 'file',
    AETHER_HEALTH_PORT: '0',
    AETHER_REQUIRE_SIGNATURE: 'false',
    AETHER_RUN_DIR: folder,
  }
  // By env(1), because the test runner puts its loaders into every Node that it starts.
  const variables = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  const command = [process.execPath, '--require', join(folder, 'spy.cjs'), join(folder, 'agents/lib/fetcher.js')]
  const fetcher = execa('env', ['-i', ...variables, ...command], { reject: false, all: true, buffer: false })
  t.teardown(async () => {
    fetcher.kill('SIGTERM')
    await fetcher
  })
  const lines: string[] = []
  const waiting = new Set<() => void>()
  createInterface({ input: fetcher.all }).on('line', (line) => {
    lines.push(line)
    for (const look of waiting) look()
  })
  const lineWith = (text: string, from: number) =>
    new Promise<string>((resolve) => {
      const look = () => {
        const found = lines.slice(from).find((line) => line.includes(text))
        if (found === undefined) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      look()
    })
  async function loaded() {
    const from = lines.length
    fetcher.kill('SIGUSR2')
    const builtins = (await lineWith('builtins ', from)).split(' ')
    const files = lines.flatMap((line) => /^file (file:.*)$/.exec(line)?.[1] ?? [])
    const ours = files.filter((url) => url.includes('/agents/')).length
    const code = files.map((url) => readFileSync(fileURLToPath(url), 'utf8')).join('')
    return {
      ours,
      builtins: ['http', 'crypto', 'zlib', 'tls', 'http2', 'internal/deps/undici/undici'].filter((name) =>
        builtins.includes(name),
      ),
      parts: Object.entries(parts).flatMap(([name, word]) => (code.includes(word) ? [name] : [])),
    }
  }

  await lineWith('REFRESH_STATE', 0)
  t.strictSame(await loaded(), { ours: 1, builtins: ['http'], parts: ['metrics'] }, 'idle')

  const target = `aether.dev/digest="sha256:${'a'.repeat(64)}"\naether.dev/artifact-url="http://127.0.0.1:1/a.tar.gz"\n`
  writeFileSync(`${annotations}.new`, target)
  renameSync(`${annotations}.new`, annotations)
  t.match(await lineWith('REFRESH_FAIL', 0), 'reason=download')
  const then = await loaded()
  t.strictSame(then.parts, ['undici', 'noble', 'tar reader', 'metrics'], 'once it was asked for a release')
  t.ok(then.builtins.includes('zlib'))
})
