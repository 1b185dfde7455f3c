// What `npm run build` makes, away from the repository and its node_modules, as an image or a user's folder has it.
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import tap, { type Test, test } from 'tap'
import { bundleCommands } from './bundle.ts'
import { agents, cli, control, root } from './bundles.ts'
import { bundleProgram } from './program.ts'
import { freePort } from './test-port.ts'

// By env(1), because the test runner puts its loaders into every Node that it starts.
const bare = (...env: readonly string[]) => ['-i', `PATH=${dirname(process.execPath)}:/usr/bin:/bin`, ...env]

const made = mkdtempSync(join(tmpdir(), 'aether-bundle-made-'))
tap.teardown(() => rmSync(made, { recursive: true }))
const [command] = await bundleCommands(root, control, join(made, 'control'))
if (command === undefined) throw new Error('the bundle has no command')

function installControl(t: Test): { folder: string; empty: string } {
  const folder = mkdtempSync(join(tmpdir(), 'aether-bundle-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  cpSync(join(made, 'control'), join(folder, 'aether'), { recursive: true })
  mkdirSync(join(folder, 'empty'))
  return { folder: join(folder, 'aether'), empty: join(folder, 'empty') }
}

/** Debian's newest, started on a free port; undefined where this machine has none. */
async function startPostgres(t: Test): Promise<string | undefined> {
  const debian = '/usr/lib/postgresql'
  const major = existsSync(debian) ? readdirSync(debian).toSorted((a, b) => Number(b) - Number(a))[0] : undefined
  if (major === undefined) return undefined
  const bin = join(debian, major, 'bin')
  const folder = mkdtempSync(join(tmpdir(), 'aether-bundle-postgres-'))
  const isRoot = process.getuid?.() === 0
  // It refuses to run as root.
  const as = { cwd: folder, ...(isRoot && { uid: 65_534, gid: 65_534 }) }
  if (isRoot) chownSync(folder, 65_534, 65_534)
  const data = join(folder, 'data')
  await execa(join(bin, 'initdb'), ['-D', data, '-U', 'aether', '--auth=trust', '--no-locale', '-E', 'UTF8', '-N'], as)
  const port = await freePort()
  const settings = ['-p', `${port}`, '-k', folder, '-h', '127.0.0.1', '-F']
  const server = execa(join(bin, 'postgres'), ['-D', data, ...settings], { ...as, reject: false })
  t.teardown(async () => {
    server.kill('SIGINT')
    await server
    rmSync(folder, { recursive: true })
  })
  const isReady = join(bin, 'pg_isready')
  for (;;) {
    const { exitCode } = await execa(isReady, ['-q', '-h', '127.0.0.1', '-p', `${port}`], { reject: false })
    if (exitCode === 0) return `postgres://aether@127.0.0.1:${port}/postgres`
    if (server.nodeChildProcess.exitCode !== null)
      throw new Error(`PostgreSQL does not start: ${(await server).stderr}`)
    await sleep(50)
  }
}

await test('control without DATABASE_URL says that it has to be set, and ends as for a wrong setting', async (t) => {
  const { folder, empty } = installControl(t)
  const data = join(empty, 'data')
  const ended = await execa(
    'env',
    [...bare(`AETHER_CONTROL_DATA_DIR=${data}`), process.execPath, join(folder, 'bin/control')],
    {
      cwd: empty,
      reject: false,
    },
  )
  t.equal(ended.exitCode, 2)
  t.match(ended.stderr, /DATABASE_URL is not set.*set it to a PostgreSQL/)
  t.notMatch(ended.stderr, /\n\s+at /, 'no stack')
  for (const file of command.files) t.ok(existsSync(join(folder, file)), file)
  t.ok(command.files.includes('lib/migrations/001_start.sql'))
  t.ok(command.files.includes('lib/@fastify/swagger-ui/static/swagger-ui-bundle.js'))
  t.notOk(
    command.files.some((file) => file.endsWith('.wasm') || file.endsWith('.data')),
    'the embedded database is not carried along',
  )
})

await test('control on a PostgreSQL makes its tables, is ready, and serves its document and the page about it', async (t) => {
  const url = await startPostgres(t)
  if (url === undefined) {
    t.comment('NOT RUN: there is no PostgreSQL on this machine; apt-get install postgresql')
    return
  }
  const { folder, empty } = installControl(t)
  const settings = [
    `DATABASE_URL=${url}`,
    `AETHER_CONTROL_DATA_DIR=${join(empty, 'data')}`,
    'AETHER_CONTROL_LISTEN_PORT=0',
    'AETHER_API_TOKENS=a-token-for-this-test:admin:tester',
  ]
  const service = execa('env', [...bare(...settings), process.execPath, join(folder, 'bin/control')], {
    cwd: empty,
    reject: false,
    all: true,
  })
  t.teardown(async () => {
    service.kill('SIGTERM')
    await service
  })
  let said = ''
  service.all.on('data', (piece: Buffer) => {
    said += piece.toString()
  })
  let origin: string | undefined
  for (let isOver = false; origin === undefined; await sleep(20)) {
    origin = /"url":"(http:[^"]+)"[^\n]*"listening"/.exec(said)?.[1]
    if (isOver) throw new Error(`control ended: ${said}`)
    isOver = service.nodeChildProcess.exitCode !== null
  }
  const ask = (path: string) =>
    fetch(`${origin}${path}`, { headers: { authorization: 'Bearer a-token-for-this-test' } })
  t.equal((await ask('/readyz')).status, 200)
  t.equal((await ask('/apps')).status, 200, 'the tables are there')
  t.match(await (await ask('/openapi.json')).json(), { openapi: '3.1.0' })
  for (const path of ['/docs/', '/docs/static/swagger-ui-bundle.js', '/docs/static/swagger-ui.css']) {
    const answer = await ask(path)
    t.equal(answer.status, 200, path)
    t.ok((await answer.text()).length > 100, `${path} has content`)
  }
  service.kill('SIGTERM')
  t.equal((await service).exitCode, 0, 'SIGTERM ends it')
})

await test('the command line is one executable file that starts anywhere', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'aether-cli-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const { file, bytes } = await bundleProgram(root, cli.entry, join(folder, 'aether'))
  t.strictSame(readdirSync(folder), ['aether'])
  t.equal(statSync(file).mode & 0o777, 0o755)
  t.equal(statSync(file).size, bytes)
  const { stdout, stderr } = await execa('env', [...bare(), file, '--version'], { cwd: folder })
  t.match(stdout, /^\d+\.\d+\.\d+$/)
  t.equal(stderr, '', 'no warning of Node')
  const wrong = await execa('env', [...bare(), file, 'dance'], { cwd: folder, reject: false })
  t.equal(wrong.exitCode, 2)
  const again = await bundleProgram(root, cli.entry, join(folder, 'again'))
  t.ok(readFileSync(again.file).equals(readFileSync(file)), 'built again it is the same')
})

await test('the preload of the app lies beside the supervisor, as it was written', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'aether-agents-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const commands = await bundleCommands(root, agents, join(folder, 'agents'))
  const preload = join(root, 'agents/supervisor/preload')
  for (const name of readdirSync(preload)) {
    const copy = join(folder, 'agents/lib/preload', name)
    t.ok(readFileSync(copy).equals(readFileSync(join(preload, name))), name)
  }
  t.ok(commands.find((one) => one.command === 'supervisor')?.files.includes('lib/preload/preload.cjs'))
  const code = readdirSync(join(folder, 'agents/lib')).filter((name) => name.endsWith('.js'))
  const naming = code.filter((name) =>
    readFileSync(join(folder, 'agents/lib', name), 'utf8').includes('preload/preload.cjs'),
  )
  t.equal(naming.length, 1, 'the code that names it lies in the folder beside')
})
