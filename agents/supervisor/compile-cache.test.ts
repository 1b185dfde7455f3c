// V8's compile cache: that of the release is used where the app cannot write it, and no other ever is.
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { digestFromHex } from '@aether/contract/digest'
import { compileCachePath, releaseName } from '@aether/contract/layout'
import { eventually, testFolder } from '@aether/runtime/test-process'
import { runAs } from '@aether/runtime/test-run-as'
import { type Test, test } from 'tap'
import { findCompileCache } from './compile-cache.ts'
import { createWorkspace } from './test-kit.ts'

const source = `import { createServer } from 'node:http'
import { createRequire, getCompileCacheDir, enableCompileCache } from 'node:module'
createRequire(import.meta.url)('./library.cjs')
if (process.env.PACKING) process.exit()
const seen = { dir: getCompileCacheDir() ?? null, status: enableCompileCache().status, pid: process.pid,
  names: Object.keys(process.env).filter((name) => name.includes('COMPILE_CACHE')).toSorted() }
createServer((_, response) => response.end(JSON.stringify(seen))).listen(process.env.PORT)`
const files = { 'library.cjs': 'exports.answer = () => 42' }
/** module.constants.compileCacheStatus */
const disabled = 3
const own = ['NODE_DISABLE_COMPILE_CACHE']

/** Where a supervisor is another user than the one the releases belong to. */
const nobody = 65_534
const asRoot = process.getuid?.() === 0 ? {} : { skip: 'only root can start a process of another user, and mount' }

async function createWorld(t: Test, env: Readonly<Record<string, string>>) {
  const world = await createWorkspace(t, { NODE_DEBUG_NATIVE: 'COMPILE_CACHE', ...env })
  chmodSync(join(world.root, 'run'), 0o777)
  const folderOf = (letter: string) => join(world.workspace, 'releases', releaseName(digestFromHex(letter.repeat(64))))
  return {
    ...world,
    folderOf,
    add: (letter: string) => world.release(letter, source, { type: 'module' }, files),
    cacheOf: (letter: string) => join(folderOf(letter), compileCachePath),
    /** As its packer does it, at whatever path that is. */
    makeCache(letter: string): void {
      const cache = join(folderOf(letter), compileCachePath)
      // By env(1), because tap puts its loaders into the environment of whatever is spawned here.
      const variables = ['PACKING=yes', `NODE_COMPILE_CACHE=${cache}`, 'NODE_COMPILE_CACHE_PORTABLE=1']
      execFileSync('env', ['-i', ...variables, process.execPath, 'server.js'], { cwd: folderOf(letter) })
      execFileSync('chmod', ['-R', 'u=rwX,go=rX', folderOf(letter)])
    },
  }
}

/** Every file below, with what it holds. */
function contents(folder: string): Readonly<Record<string, string>> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return Object.fromEntries(
    entries.map((entry) => {
      const path = join(entry.parentPath, entry.name)
      return [path, readFileSync(path, 'base64')]
    }),
  )
}

await test(
  'the cache of a release is used, at another path and in a spare too, and stays as it is',
  asRoot,
  async (t) => {
    const world = await createWorld(t, { ...runAs(nobody, nobody) })
    const [one, two] = [world.add('a'), world.add('b')]
    world.makeCache('a')
    cpSync(join(world.folderOf('a'), '.aether'), join(world.folderOf('b'), '.aether'), { recursive: true })
    const before = { ...contents(world.folderOf('a')), ...contents(world.folderOf('b')) }
    const supervisor = world.start()
    for (const [letter, digest] of [
      ['a', one],
      ['b', two],
    ] as const) {
      const from = supervisor.lines.length
      await world.verdict(world.activate(digest), 'ok')
      const { dir, names, status } = await world.askFresh()
      t.match(String(dir), world.cacheOf(letter))
      t.strictSame(names, own, 'what it starts has none')
      t.equal(status, disabled, 'its own asking changes nothing')
      for (const file of ['server.js', 'library.cjs'])
        await supervisor.line(`${world.folderOf(letter)}/${file} was accepted`, from)
      await supervisor.line('"compileCache":"used"', from)
      await eventually('a spare', async () => /aether_spare_state\{state="ready"\} 1/.test(await world.metrics()))
    }
    supervisor.kill('SIGTERM')
    await supervisor.exited
    t.strictSame({ ...contents(world.folderOf('a')), ...contents(world.folderOf('b')) }, before)
  },
)

await test('a cache of another Node is left alone, and the log says so', asRoot, async (t) => {
  const world = await createWorld(t, { ...runAs(nobody, nobody) })
  const digest = world.add('a')
  world.makeCache('a')
  const [made = ''] = readdirSync(world.cacheOf('a'))
  renameSync(join(world.cacheOf('a'), made), join(world.cacheOf('a'), 'v1.0.0-x64-00000000'))
  const supervisor = world.start()
  await world.verdict(world.activate(digest), 'ok')
  t.match(await world.askFresh(), { dir: null, status: disabled, names: own })
  await supervisor.line('"compileCache":"not used: ')
  t.strictSame(readdirSync(world.cacheOf('a')), ['v1.0.0-x64-00000000'])
})

await test('neither a cache that the app can write nor one that the pod or the app asks for is ever used', async (t) => {
  const world = await createWorld(t, { NODE_COMPILE_CACHE: join(t.testdirName, 'run') })
  const [one, two] = [world.add('a'), world.add('b')]
  world.makeCache('b')
  const before = contents(world.folderOf('b'))
  const supervisor = world.start()
  for (const digest of [one, two]) {
    await world.verdict(world.activate(digest), 'ok')
    t.match(await world.askFresh(), { dir: null, status: disabled, names: own })
  }
  supervisor.kill('SIGTERM')
  await supervisor.exited
  t.strictSame(contents(world.folderOf('b')), before)
  t.notOk(supervisor.lines.some((line) => line.includes('[compile cache]') && line.includes(world.workspace)))
})

await test('on a read-only mount, as in a pod, it counts for the owner of its files too', asRoot, async (t) => {
  const folder = testFolder(t)
  const mount = (options: string) => execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', folder])
  mount('size=1m')
  t.teardown(() => execFileSync('umount', ['-l', folder]))
  mkdirSync(join(folder, compileCachePath, process.version), { recursive: true })
  t.equal(findCompileCache(folder), undefined)
  mount('remount,ro')
  t.equal(findCompileCache(folder), join(folder, compileCachePath))
  mount('remount,rw')
  renameSync(join(folder, compileCachePath), join(folder, 'elsewhere'))
  symlinkSync('../elsewhere', join(folder, compileCachePath))
  mount('remount,ro')
  t.equal(findCompileCache(folder), undefined, 'by a link')
})
