// node scripts/neighbours.ts COMMIT: this commit's control and agents beside those of COMMIT, one refresh each way, and an
// upgrade of each on what the older one wrote. It needs the history and the registry, so it is no test; docs/operations.md
// says what was tried by it.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'

const here = fileURLToPath(new URL('..', import.meta.url))
const patienceMs = 120_000
const commit = process.argv[2]
if (commit === undefined || commit.startsWith('-')) {
  console.error('usage: node scripts/neighbours.ts COMMIT')
  process.exit(2)
}

/** A tree of the sources, and what people call it. */
type Version = { readonly name: string; readonly root: string }

const work = await realpath(await mkdtemp(join(tmpdir(), 'aether-neighbours-')))
const older: Version = { name: commit, root: join(work, 'older') }
const newer: Version = { name: 'this one', root: here }
const running = new Set<{ readonly child: ChildProcess; readonly ended: Promise<unknown> }>()
try {
  await execa('git', ['worktree', 'add', '--quiet', '--detach', older.root, commit], { cwd: here })
  await execa('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: older.root })
  for (const [control, agents] of [
    [newer, older],
    [older, newer],
  ] as const)
    await tryTogether(control, agents)
  console.log('all of it held')
} finally {
  for (const one of running) await end(one)
  await execa('git', ['worktree', 'remove', '--force', older.root], { cwd: here, reject: false })
  await rm(work, { recursive: true, force: true })
}

/** The command line is the agents': it is upgraded after control as they are. */
async function tryTogether(control: Version, agents: Version): Promise<void> {
  console.log(`\ncontrol of ${control.name}, agents and CLI of ${agents.name}`)
  const folder = await mkdtemp(join(work, 'pair-'))
  const [port, appPort] = [randomInt(14_000, 22_000), randomInt(22_000, 30_000)]
  const url = `http://127.0.0.1:${port}`
  const app = join(folder, 'app')
  const controlEnv = {
    AETHER_CONTROL_DATA_DIR: join(folder, 'control'),
    AETHER_CONTROL_LISTEN_PORT: `${port}`,
    AETHER_API_TOKENS: 'token-of-the-neighbours:admin:me',
  }
  const target = join(folder, 'control/targets/default/hello')
  const agentEnv = {
    AETHER_APP: 'hello',
    AETHER_DATA_DIR: join(folder, 'data'),
    AETHER_RUN_DIR: join(folder, 'run'),
    AETHER_WORKSPACE_DIR: join(folder, 'data/workspace'),
    AETHER_PUBKEY: join(folder, 'keys/aether-signing.pub.pem'),
    AETHER_CONTROL_URL: url,
    AETHER_CONTROL_TOKEN_FILE: join(target, 'token'),
    AETHER_ANNOTATIONS_FILE: join(target, 'annotations'),
    AETHER_FETCH_MODE: 'file',
    AETHER_SUPERVISED: 'true',
    AETHER_READY_PATH: '/healthz',
    AETHER_DRAIN_MAX_MS: '0',
    AETHER_MIN_REFRESH_INTERVAL_MS: '0',
    AETHER_HEALTH_PORT: '0',
    AETHER_HEALTH_HOST: '127.0.0.1',
    PORT: `${appPort}`,
  }
  for (const name of ['run', 'data']) await mkdir(join(folder, name))
  const aether = async (of: Version, ...args: string[]) => {
    const env = {
      AETHER_URL: url,
      AETHER_TOKEN: 'token-of-the-neighbours',
      AETHER_SIGNING_KEY: 'keys/aether-signing.pem',
    }
    return execa(process.execPath, [join(of.root, 'cli/main.ts'), ...args], { cwd: folder, env, all: true })
  }
  const startControl = async (of: Version) => {
    const one = start(of, 'control/main.ts', controlEnv)
    await until('control to be ready', async () => (await fetch(`${url}/readyz`)).ok)
    return one
  }
  const startAgents = async (of: Version) => {
    await until('a target', async () => (await readFile(agentEnv.AETHER_ANNOTATIONS_FILE, 'utf8')).includes('sha256:'))
    const code = await start(of, 'agents/init-fetch/main.ts', agentEnv).ended
    if (code !== 0) throw new Error(`init-fetch of ${of.name} ended with code ${code}`)
    return ['agents/fetcher/main.ts', 'agents/supervisor/main.ts'].map((file) => start(of, file, agentEnv))
  }
  const write = async (version: string) => {
    await cp(join(here, 'examples/hello'), app, { recursive: true })
    const manifest = join(app, 'package.json')
    await writeFile(
      manifest,
      (await readFile(manifest, 'utf8')).replace(/"version": "[^"]*"/, `"version": "${version}"`),
    )
  }
  const deploy = async (of: Version, version: string) => {
    await write(version)
    const began = performance.now()
    await aether(of, 'deploy', 'app', '--dev-hot')
    await serves(version)
    console.log(
      `  ${version} deployed and served in place (${Math.round(performance.now() - began)} ms, CLI of ${of.name})`,
    )
  }
  const serves = (version: string) =>
    until(`an answer of ${version}`, async () =>
      (await (await fetch(`http://127.0.0.1:${appPort}/`)).text()).includes(version),
    )

  await aether(agents, 'keys', 'generate', '--out', 'keys')
  const first = await startControl(control)
  await aether(agents, 'apps', 'create', 'hello', '--key', 'keys/aether-signing.pub.pem')
  const deploying = deploy(agents, '1.0.0')
  const pod = await startAgents(agents)
  await deploying
  await deploy(agents, '2.0.0')

  const wasOlder = control === older ? 'control' : 'the agents'
  console.log(`  ${wasOlder} of ${older.name} ended, this one's started on what it left`)
  if (control === older) {
    await end(first)
    await startControl(newer)
  } else {
    for (const one of pod) await end(one)
    await startAgents(newer)
  }
  await serves('2.0.0')
  await deploy(newer, '3.0.0')
  for (const one of running) await end(one)
}

function start({ name, root }: Version, file: string, env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [join(root, file)], {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      if (/^REFRESH_|"level":"?(warn|error|40|50)/.test(line))
        console.log(`  ${file.split('/').at(-2)} of ${name}: ${line.slice(0, 200)}`)
    })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const one = { child, ended }
  running.add(one)
  void ended.then(() => running.delete(one))
  return one
}

async function end({
  child,
  ended,
}: {
  readonly child: ChildProcess
  readonly ended: Promise<unknown>
}): Promise<void> {
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000)
  await ended
  clearTimeout(late)
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    if (await holds().catch(() => false)) return
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await sleep(50)
  }
}
