// The story the demo tells, as steps; main.ts puts it between a beginning and an end.
import { randomBytes, randomInt } from 'node:crypto'
import { access, cp, readFile, rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { annotations } from '@aether/contract/annotations'
import { isObject } from '@aether/contract/json'
import type { Marker } from '@aether/contract/markers'
import { formatPodinfo } from '@aether/contract/podinfo'
import { type Cli, createCli } from './cli.ts'
import type { FileStore } from './file-store.ts'
import type { DemoFolder } from './folder.ts'
import { ask, type Load, startLoad } from './load.ts'
import { type Running, start } from './process.ts'
import { bad, faint, good, say } from './say.ts'

export interface ControlService {
  readonly url: string
  readonly token: string
  readonly cli: Cli
}

export interface Pod {
  readonly url: string
  readonly fetcher: Running
}

export interface Swap {
  readonly marker: Marker
  /** From the command's start to the first answer of the new code. */
  readonly totalMs: number
  readonly failed: number
}

/** Told of each process at once, so that it can be stopped whatever comes. */
export type OnStart = (process: Running) => void

const example = fileURLToPath(new URL('../../examples/hello', import.meta.url))
const patienceMs = 60_000

export async function startControl(folder: DemoFolder, onStart: OnStart): Promise<ControlService> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const token = randomBytes(24).toString('hex')
  const control = start('control', folder.root, {
    AETHER_CONTROL_DATA_DIR: folder.control,
    AETHER_CONTROL_LISTEN_PORT: String(port),
    AETHER_API_TOKENS: `${token}:admin:demo`,
  })
  onStart(control)
  await until('control to be ready', control, async () => (await fetch(`${url}/readyz`)).ok)
  say('control', `listens at ${url}; database and artifacts are in one folder`)
  const env = {
    AETHER_URL: url,
    AETHER_TOKEN: token,
    AETHER_SIGNING_KEY: folder.signingKey,
    XDG_CACHE_HOME: join(folder.root, 'cache'),
  }
  return { url, token, cli: createCli(folder.root, env) }
}

/** The developer signs with one half of the pair; control and the pod verify with the other. */
export async function registerApp(folder: DemoFolder, { cli }: ControlService): Promise<void> {
  await cli.ask(['keys', 'generate', '--out', folder.keys])
  await cli.type(['apps', 'create', 'hello', '--key', 'keys/aether-signing.pub.pem'])
}

export async function writeVersion(folder: Pick<DemoFolder, 'app'>, version: string): Promise<void> {
  await cp(example, folder.app, { recursive: true })
  const manifest = join(folder.app, 'package.json')
  await writeFile(manifest, (await readFile(manifest, 'utf8')).replace(/"version": "[^"]*"/, `"version": "${version}"`))
}

/** The agents come up as soon as control has written what they are to run; the command ends when they serve it. */
export async function deployFirst(
  folder: DemoFolder,
  control: ControlService,
  store: { readonly origin: string },
  onStart: OnStart,
): Promise<Pod> {
  const deploying = control.cli.type(['deploy', 'app', '--dev-hot'])
  // It is awaited below; until then an end of it is seen by the agents never being told of a target.
  deploying.catch(() => {})
  const pod = await startAgents(folder, control, store.origin, deploying, onStart)
  await deploying
  say('serving', `the supervisor runs the app at ${pod.url}: ${good(JSON.stringify(await firstLine(pod.url)))}`)
  return pod
}

/** What stands for the pod's annotations, which may be written by any program. */
export function annotationsFile(folder: DemoFolder): string {
  return join(targetFolder(folder), 'annotations')
}

function targetFolder(folder: DemoFolder): string {
  return join(folder.control, 'targets', 'default', 'hello')
}

async function startAgents(
  folder: DemoFolder,
  control: ControlService,
  storeOrigin: string,
  deploying: Promise<unknown>,
  onStart: OnStart,
): Promise<Pod> {
  const port = await freePort()
  const target = targetFolder(folder)
  const env = {
    AETHER_APP: 'hello',
    AETHER_DATA_DIR: folder.data,
    AETHER_RUN_DIR: folder.run,
    AETHER_WORKSPACE_DIR: join(folder.data, 'workspace'),
    AETHER_PUBKEY: folder.publicKey,
    AETHER_CONTROL_URL: control.url,
    AETHER_CONTROL_TOKEN_FILE: join(target, 'token'),
    AETHER_ANNOTATIONS_FILE: annotationsFile(folder),
    // Beside control: nobody else is asked for an artifact.
    AETHER_ARTIFACT_ORIGINS: storeOrigin,
    AETHER_FETCH_MODE: 'file',
    AETHER_SUPERVISED: 'true',
    AETHER_READY_PATH: '/healthz',
    // Nothing here balances load by readiness, so there is nobody to wait for before a process is replaced.
    AETHER_DRAIN_MAX_MS: '0',
    // The story is told faster than releases come in life.
    AETHER_MIN_REFRESH_INTERVAL_MS: '0',
    AETHER_HEALTH_PORT: '0',
    AETHER_HEALTH_HOST: '127.0.0.1',
    AETHER_LOG_LEVEL: 'debug',
    PORT: String(port),
  }
  await until('control to write a target', deploying, async () => {
    await access(env.AETHER_ANNOTATIONS_FILE)
    return true
  })
  const init = start('init-fetch', folder.root, env)
  onStart(init)
  const code = await init.exited
  if (code !== 0) throw new Error(`init-fetch ended with code ${code}${init.lastWords()}`)
  const fetcher = start('fetcher', folder.root, env)
  onStart(fetcher)
  onStart(start('supervisor', folder.root, env))
  return { url: `http://127.0.0.1:${port}/`, fetcher }
}

export function beginLoad(pod: Pod): Load {
  say('load', 'from now on a new request every 5 ms and 4 connections that stay open, to the end')
  return startLoad(pod.url)
}

/** Deploys what is in the folder, and follows it to its first answer. */
export async function deployNext({ cli }: ControlService, pod: Pod, load: Load, version: string): Promise<Swap> {
  const failedBefore = load.counts().failed
  const answer = load.firstAnswer(`hello from ${version}`)
  const marked = pod.fetcher.nextMarker((marker) => marker.kind === 'ok' || marker.kind === 'fail')
  const began = performance.now()
  await cli.type(['deploy', 'app', '--dev-hot'])
  const totalMs = (await answer) - began
  say(
    'serving',
    `${good(JSON.stringify(await firstLine(pod.url)))} ${faint(`${Math.round(totalMs)} ms after the command was typed`)}`,
  )
  return { marker: await marked, totalMs, failed: load.counts().failed - failedBefore }
}

/** Publishes the app where a bucket would be, and changes one byte of it there: the pod is asked to take it, and refuses. */
export async function askForTampered(
  folder: DemoFolder,
  { cli }: ControlService,
  pod: Pod,
  store: FileStore,
): Promise<void> {
  const packed = await cli.ask(['pack', 'app', '--tree', '--out', join(store.folder, '3.0.0')])
  const { digest, signature } = isObject(packed) ? packed : {}
  if (typeof digest !== 'string' || typeof signature !== 'string')
    throw new Error(`aether pack said: ${JSON.stringify(packed)}`)
  const kept = join(store.folder, '3.0.0', 'hello.tree')
  const bytes = await readFile(kept)
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  await writeFile(kept, bytes)
  say('tamper', 'v3 is signed and published, and somebody changes one byte of it where it is kept')
  const marked = pod.fetcher.nextMarker((marker) => marker.kind === 'ok' || marker.kind === 'fail')
  const file = annotationsFile(folder)
  const wanted = {
    [annotations.digest]: digest,
    [annotations.artifactUrl]: `${store.origin}/3.0.0/hello.tree`,
    [annotations.signature]: signature,
  }
  await writeFile(`${file}.new`, formatPodinfo(wanted))
  await rename(`${file}.new`, file)
  const marker = await marked
  if (marker.kind !== 'fail') throw new Error('the tampered release was taken: this must never happen')
  say(
    'refused',
    bad(`reason=${marker.reason}`) +
      `, nothing of it was activated; still ${good(JSON.stringify(await firstLine(pod.url)))}`,
  )
}

async function firstLine(url: string): Promise<string> {
  return (await ask(url)).trim()
}

/** Asks until the answer is yes; what it throws counts as no. Ends early where `before` ends first. */
async function until(what: string, before: Running | Promise<unknown>, look: () => Promise<boolean>): Promise<void> {
  let isOver = false
  const ends = before instanceof Promise ? before : before.exited
  ends.then(
    () => (isOver = true),
    () => (isOver = true),
  )
  for (const deadline = performance.now() + patienceMs; performance.now() < deadline && !isOver; await sleep(20))
    if (await look().catch(() => false)) return
  const log = before instanceof Promise ? '' : before.lastWords()
  throw new Error(`waited in vain for ${what}${log}`)
}

/** Below the ports that the kernel gives to clients: no connection of the load takes it meanwhile. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(14_000, 30_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, () => resolve(true))
    })
    if (!isFree) continue
    await new Promise<void>((resolve) => server.close(() => resolve()))
    return port
  }
}
