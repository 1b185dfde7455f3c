// The start of every npm command. Runs on Node 20 with no dependency: installs what is missing or behind the
// lockfile, then hands over to the Node that the lockfile pins.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')
const stamp = join(root, 'node_modules', '.aether-installed')

/** Each command is a list of steps; a step is a program and its arguments, run in the root folder. */
const commands = {
  start: [['node', 'scripts/demo/main.ts']],
  test: [['node', 'scripts/test.ts']],
  e2e: [['node', 'scripts/test.ts', '--e2e']],
  bench: [['node', 'bench/main.ts']],
  build: [['node', 'images/bundles.ts']],
  images: [['node', 'images/main.ts']],
  licenses: [['node', 'images/third-party.ts']],
  format: [['biome', 'check', '--write', '.']],
  check: [['tsc', '--noEmit'], ['oxlint', '--type-aware', '--deny-warnings'], ['biome', 'check', '.'], ['knip']],
}

const [name = '', ...more] = process.argv.slice(2)
const steps = commands[name]
if (steps === undefined) {
  console.error(`run: there is no command "${name}"; there are: ${Object.keys(commands).join(', ')}`)
  process.exit(2)
}
install()
for (const [index, [program, ...fixed]] of steps.entries()) {
  const last = index === steps.length - 1
  if (steps.length > 1) console.error(`> ${program} ${fixed.join(' ')}`)
  const code = await run(program, [...fixed, ...(last ? more : [])])
  if (code !== 0) process.exit(code)
}

/** `npm ci`, unless what is installed is what the lockfile and this machine ask for. */
function install() {
  const lock = readFileSync(join(root, 'package-lock.json'))
  const wanted = createHash('sha256').update(lock).update(`${process.platform} ${process.arch}`).digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  console.error('Installing what the lockfile names (once, about half a minute) ...')
  const npm = spawnSync(
    'npm',
    ['ci', '--include=dev', '--include=optional', '--loglevel=error', '--no-fund', '--no-audit'],
    { cwd: root, stdio: ['ignore', 2, 2] },
  )
  if (npm.status !== 0) {
    console.error('run: npm ci failed; see above. Is the npm registry reachable?')
    process.exit(1)
  }
  writeFileSync(stamp, wanted)
}

/** Runs a program of node_modules/.bin and answers its exit code; signals to us reach it too. */
function run(program, args) {
  const pinned = existsSync(join(bin, program)) ? join(bin, program) : undefined
  if (pinned === undefined && program === 'node' && Number(process.versions.node.split('.')[0]) < 23) {
    console.error(
      `run: this machine (${process.platform} ${process.arch}) gets no Node from npm, and Node ${process.versions.node} is too old: install Node 26`,
    )
    process.exit(1)
  }
  return new Promise((resolve) => {
    const child = spawn(pinned ?? process.execPath, args, {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` },
    })
    // A terminal sends Ctrl-C to the whole group; a supervisor sends SIGTERM to us alone.
    process.on('SIGINT', () => {})
    process.on('SIGTERM', () => child.kill('SIGTERM'))
    child.on('error', (error) => {
      console.error(`run: ${program} does not start: ${error.message}`)
      resolve(1)
    })
    child.on('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)))
  })
}
