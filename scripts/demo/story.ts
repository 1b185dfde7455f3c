// The story the demo tells, as steps; main.ts puts it between a beginning and an end.
import { cp, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createSigningPair } from '@aether/artifact/sign'
import { hexOf } from '@aether/contract/digest'
import type { Marker } from '@aether/contract/markers'
import { type Agent, startAgent } from './agent.ts'
import type { DemoFolder } from './folder.ts'
import { type Load, startLoad } from './load.ts'
import { annotate, type Published, publish } from './publish.ts'
import { bad, faint, good, say } from './say.ts'

export interface Pod {
  readonly url: string
  readonly fetcher: Agent
  readonly supervisor: Agent
  readonly env: Readonly<Record<string, string>>
}

export interface Swap {
  readonly marker: Marker
  /** From the annotation written to the first answer of the new code. */
  readonly totalMs: number
  readonly failed: number
}

const example = fileURLToPath(new URL('../../examples/hello', import.meta.url))

export async function makeKeys(folder: DemoFolder): Promise<void> {
  const pair = createSigningPair()
  await writeFile(folder.signingKey, pair.privatePem, { mode: 0o600 })
  await writeFile(folder.publicKey, pair.publicPem)
  say('keys', 'made an ed25519 key pair: the developer signs with one half, the pod verifies with the other')
}

export async function writeVersion(folder: DemoFolder, version: string): Promise<void> {
  await cp(example, folder.app, { recursive: true })
  const manifest = join(folder.app, 'package.json')
  await writeFile(manifest, (await readFile(manifest, 'utf8')).replace(/"version": "[^"]*"/, `"version": "${version}"`))
}

export async function publishVersion(folder: DemoFolder, name: string): Promise<Published> {
  const began = performance.now()
  const published = await publish(folder)
  const ms = Math.round(performance.now() - began)
  say(
    'publish',
    `packed and signed ${name}: ${published.bytes} bytes, sha256 ${hexOf(published.digest).slice(0, 12)}... ${faint(`${ms} ms`)}`,
  )
  return published
}

/** `started` is told of each agent at once, so that it can be stopped whatever comes. */
export async function startPod(folder: DemoFolder, started: (agent: Agent) => void): Promise<Pod> {
  const port = await freePort()
  const env = {
    AETHER_APP: 'hello',
    AETHER_DATA_DIR: folder.data,
    AETHER_RUN_DIR: folder.run,
    AETHER_WORKSPACE_DIR: join(folder.data, 'workspace'),
    AETHER_PUBKEY: join(folder.root, 'keys'),
    AETHER_ANNOTATIONS_FILE: folder.annotations,
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
  const init = startAgent('init-fetch', folder.root, env)
  started(init)
  const code = await init.exited
  if (code !== 0) throw new Error(`init-fetch ended with code ${code}; its log is ${init.logFile}`)
  say('init', 'init-fetch verified the signature, downloaded, verified the sha256 and unpacked it')
  const fetcher = startAgent('fetcher', folder.root, env)
  started(fetcher)
  const serving = fetcher.nextMarker((marker) => marker.kind === 'ok')
  const supervisor = startAgent('supervisor', folder.root, env)
  started(supervisor)
  await serving
  const url = `http://127.0.0.1:${port}/`
  say('serving', `the supervisor runs the app at ${url}: ${good(JSON.stringify(await firstLine(url)))}`)
  return { url, fetcher, supervisor, env }
}

export function beginLoad(pod: Pod): Load {
  say('load', 'from now on a new request every 5 ms and 4 connections that stay open, to the end')
  return startLoad(pod.url)
}

/** Annotates, and follows the release to its first answer. */
export async function swapTo(
  folder: DemoFolder,
  pod: Pod,
  load: Load,
  next: Published,
  version: string,
): Promise<Swap> {
  const failedBefore = load.counts().failed
  const answer = load.firstAnswer(`hello from ${version}`)
  const marked = pod.fetcher.nextMarker((marker) => marker.kind === 'ok' || marker.kind === 'fail')
  const began = performance.now()
  await annotate(folder, next)
  say('annotate', 'wrote digest, URL and signature into the annotations: that is the whole deployment')
  const marker = await marked
  if (marker.kind !== 'ok')
    throw new Error(`the release was refused: ${JSON.stringify(marker)}; see ${pod.fetcher.logFile}`)
  const totalMs = (await answer) - began
  say(
    'serving',
    `${good(JSON.stringify(await firstLine(pod.url)))} ${faint(`${Math.round(totalMs)} ms after the annotation`)}`,
  )
  return { marker, totalMs, failed: load.counts().failed - failedBefore }
}

/** Changes one byte of the published file after it was signed, annotates, and waits for the refusal. */
export async function offerTampered(folder: DemoFolder, pod: Pod, next: Published): Promise<Marker> {
  const bytes = await readFile(next.file)
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  await writeFile(next.file, bytes)
  say('tamper', 'somebody changes one byte of the published artifact after it was signed')
  const marked = pod.fetcher.nextMarker((marker) => marker.kind === 'ok' || marker.kind === 'fail')
  await annotate(folder, next)
  const marker = await marked
  if (marker.kind !== 'fail') throw new Error('the tampered release was taken: this must never happen')
  say(
    'refused',
    bad(`reason=${marker.reason}`) +
      `, nothing of it was activated; still ${good(JSON.stringify(await firstLine(pod.url)))}`,
  )
  return marker
}

export async function firstLine(url: string): Promise<string> {
  return (await (await fetch(url)).text()).trim()
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.listen(0, () => {
      const address = server.address()
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new TypeError('no free port'))
        else resolve(address.port)
      })
    })
  })
}
