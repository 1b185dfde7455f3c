// npm test and npm run e2e: runs the test files and ends with one line `N passed, N failed`, N counting assertions.
import { glob, mkdtemp, readFile, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { execa } from 'execa'

const { values, positionals } = parseArgs({
  options: { e2e: { type: 'boolean', default: false } },
  allowPositionals: true,
})
/** They take figures, or ask for as much of the node as production would. */
const alone = /\b(fence|footprint|latency|manifests|overlap|soak)\.e2e\.ts$/
/** They stop the API server, the last one for longest, and the cluster is slow for a minute after it. */
const last = ['control-faults.e2e.ts', 'api-server-down.e2e.ts']

/** So few start no faster for it. */
const fewFiles = 10
const folder = await mkdtemp(join(tmpdir(), 'aether-test-'))
try {
  if (values.e2e && process.env.KUBECONFIG === undefined) throw new Error('KUBECONFIG is unset: name a cluster in it')
  const files = positionals.length > 0 ? positionals : await listTests(values.e2e ? '**/*.e2e.ts' : '**/*.test.ts')
  // The scenarios print tables, so all of their TAP is shown; elsewhere what failed is enough, and on a terminal something moves.
  const isWhole = values.e2e
  const reporter = isWhole ? 'tap' : process.stdout.isTTY ? 'terse' : 'min'
  console.log(`Running ${files.length} test files ...`)
  const shared = isWhole ? {} : await share(files)
  let tap = ''
  let isClean = true
  for (const [at, { limits, names }] of groupsOf(files).entries()) {
    const report = join(folder, `report-${at}.tap`)
    const output = isWhole ? [] : [`--output-file=${report}`]
    const { exitCode } = await execa('tap', ['run', ...limits, `--reporter=${reporter}`, ...output, ...names], {
      stdin: 'inherit',
      stdout: isWhole ? ['inherit', { file: report }] : 'inherit',
      stderr: 'inherit',
      env: shared,
      reject: false,
    })
    isClean &&= exitCode === 0
    tap += await readFile(report, 'utf8').catch(() => '')
  }
  for (const [, what] of tap.matchAll(/^ *ok \d+ - (.* # SKIP.*)$/gm)) console.log(`not run: ${what}`)
  const { passed, failed } = countAssertions(tap)
  const isGreen = isClean && passed > 0
  // Again and in full: the reporter leaves out what it does not take for an assertion, such as a process that ended badly.
  if (!isGreen && !isWhole)
    for (const [point] of tap.matchAll(/^ *not ok .*(?:\n(?! *(?:not )?ok \d).*){0,30}/gm)) console.log(`\n${point}`)
  console.log(`\n${passed} passed, ${isGreen ? failed : Math.max(1, failed)} failed`)
  process.exitCode = isGreen && failed === 0 ? 0 : 1
} catch (error) {
  console.error(`test: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** Against a cluster most scenarios wait for it most of the time, so two go at once; those that take figures go by themselves. */
function groupsOf(files: readonly string[]) {
  if (!values.e2e) return [{ limits: [`--jobs=${availableParallelism()}`, '--timeout=600'], names: files }]
  const isLast = (file: string) => last.includes(basename(file))
  const groups = [
    { limits: ['--jobs=2', '--timeout=1000'], names: files.filter((file) => !alone.test(file) && !isLast(file)) },
    { limits: ['--jobs=1', '--timeout=1000'], names: files.filter((file) => alone.test(file)) },
    ...last.map((name) => ({
      limits: ['--jobs=1', '--timeout=1000'],
      names: files.filter((file) => basename(file) === name),
    })),
  ]
  return groups.filter(({ names }) => names.length > 0)
}

/** What many test files would otherwise make for themselves, each time: compiled code, and a fresh database of control's. */
async function share(files: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const NODE_COMPILE_CACHE = join(folder, 'compiled')
  if (files.length < fewFiles) return { NODE_COMPILE_CACHE }
  const data = join(folder, 'control')
  const control = execa(process.execPath, ['control/main.ts'], {
    env: { NODE_COMPILE_CACHE, AETHER_CONTROL_DATA_DIR: data, AETHER_CONTROL_LISTEN_PORT: '0', AETHER_CLUSTER: 'none' },
    all: true,
    reject: false,
  })
  for await (const line of control) if (line.includes('"listening"')) control.kill('SIGTERM')
  const { exitCode, all } = await control
  if (exitCode !== 0) throw new Error(`control did not start and end: ${all}`)
  return { NODE_COMPILE_CACHE, AETHER_TEST_DATABASE: join(data, 'database') }
}

async function listTests(pattern: string): Promise<readonly string[]> {
  const found: string[] = []
  for await (const file of glob(pattern, { exclude: ['**/node_modules/**', '**/dist/**', '.tap/**'] })) found.push(file)
  return found.toSorted()
}

/** Leaves of the TAP tree: a test point that sums up a subtest is no assertion of its own. */
function countAssertions(tap: string): { readonly passed: number; readonly failed: number } {
  let passed = 0
  let failed = 0
  let depthBefore = 0
  for (const line of tap.split('\n')) {
    const point = /^( *)(not )?ok \d+/.exec(line)
    if (point === null) continue
    const depth = (point[1] ?? '').length
    // A subtest's points come before its own, and deeper.
    const isLeaf = depth >= depthBefore
    depthBefore = depth
    if (!isLeaf) continue
    if (point[2] === undefined) passed++
    else failed++
  }
  return { passed, failed }
}
