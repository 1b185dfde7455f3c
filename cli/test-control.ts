// For tests: the real control as a process, without a cluster; the part of an app's agents, who say what became of a
// target; and a server in between that does harm.

import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { annotations } from '@aether/contract/annotations'
import { agentPaths } from '@aether/contract/control-api'
import { parsePodinfo } from '@aether/contract/podinfo'
import type { Test } from 'tap'

export interface TestControl {
  readonly url: string
  readonly token: string
  /** Of the role reader. */
  readonly readerToken: string
  readonly lines: readonly string[]
  stop(): Promise<void>
  /** Says of every new target what `verdict` makes of it, as an app's agents do. */
  playAgents(verdict?: (app: string, count: number) => 'ok' | 'fail'): void
}

const main = new URL('../control/main.ts', import.meta.url).pathname
const [admin, reader] = ['admin-token-of-the-test', 'reader-token-of-the-test']

/** `folder` keeps what control keeps; a second start in it goes on where the first ended. */
export async function startControl(
  t: Test,
  folder: string,
  env: Readonly<Record<string, string>> = {},
): Promise<TestControl> {
  const port = Number(env.AETHER_CONTROL_LISTEN_PORT ?? (await freePort()))
  const lines: string[] = []
  const { PATH = '', NODE_COMPILE_CACHE, AETHER_TEST_DATABASE } = process.env
  // A fresh one, as control would make it in some seconds.
  if (AETHER_TEST_DATABASE !== undefined && !existsSync(join(folder, 'database')))
    cpSync(AETHER_TEST_DATABASE, join(folder, 'database'), { recursive: true })
  const variables = {
    PATH,
    ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }),
    AETHER_API_TOKENS: `${admin}:admin:me,${reader}:reader:looker`,
    AETHER_CLUSTER: 'none',
    AETHER_CONTROL_DATA_DIR: folder,
    AETHER_CONTROL_LISTEN_PORT: String(port),
    AETHER_REQUIRE_SIGNATURE: 'false',
    AETHER_SYNC_TIMEOUT_SEC: '20',
    ...env,
  }
  const child = spawn(
    'env',
    ['-i', ...Object.entries(variables).map((pair) => pair.join('=')), process.execPath, main],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => lines.push(text))
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const over = new AbortController()
  const stop = async () => {
    over.abort()
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await exited
    clearTimeout(late)
  }
  t.teardown(stop)
  const url = `http://127.0.0.1:${port}`
  await eventually(
    async () => (await fetch(`${url}/readyz`)).ok,
    () => lines.join(''),
  )
  return {
    url,
    token: admin,
    readerToken: reader,
    lines,
    stop,
    playAgents: (verdict = () => 'ok') => void playAgents(url, join(folder, 'targets'), verdict, over.signal),
  }
}

async function playAgents(
  url: string,
  folder: string,
  verdict: (app: string, count: number) => 'ok' | 'fail',
  over: AbortSignal,
): Promise<void> {
  const seen = new Map<string, string>()
  const serving = new Map<string, string>()
  let count = 0
  while (!over.aborted) {
    await sleep(20)
    for (const path of list(folder).flatMap(list)) {
      try {
        const digest = parsePodinfo(readFileSync(join(path, 'annotations'), 'utf8'))[annotations.digest] ?? ''
        if (seen.get(path) === digest) continue
        const token = readFileSync(join(path, 'token'), 'utf8')
        const outcome = verdict(path.split('/').at(-1) ?? '', count)
        if (outcome === 'ok') serving.set(path, digest)
        const isOk = outcome === 'ok'
        const report = {
          digest,
          outcome,
          serving: serving.get(path) ?? null,
          reason: isOk ? null : 'unhealthy',
          detail: isOk ? null : 'exited',
          message: isOk ? null : 'the app ended with exit code 7',
          ...(isOk ? {} : { output: 'server.js:1\n\nSyntaxError: a brace is missing\n    at server.js:1' }),
          ms: isOk ? 42 : null,
        }
        const answer = await fetch(`${url}${agentPaths.outcome}`, {
          method: 'PUT',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify(report),
          signal: AbortSignal.timeout(5_000),
        })
        if (!answer.ok) continue
        seen.set(path, digest)
        count += 1
      } catch {
        // Not whole yet, or control is away: the next round sees it.
      }
    }
  }
}

/** What the server in between does with a request. */
export type Harm = 'none' | 'cut' | 'lose' | 'unavailable' | 'html'

/** In front of control: `cut` breaks the request off, `lose` lets it be done and drops the answer. Answers its URL. */
export async function startHarm(
  t: Test,
  url: string,
  harmOf: (request: IncomingMessage, count: number) => Harm,
): Promise<{ readonly url: string; readonly seen: readonly string[] }> {
  const seen: string[] = []
  const server = createServer((incoming, answer) => {
    const harm = harmOf(incoming, seen.length)
    seen.push(`${incoming.method} ${incoming.url?.split('?')[0]} ${harm}`)
    if (harm === 'cut') incoming.once('data', () => incoming.socket.destroy())
    else if (harm === 'unavailable') answer.writeHead(503, { 'retry-after': '1' }).end()
    else if (harm === 'html') answer.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad Gateway</h1>')
    else pass(url, incoming, answer, harm === 'lose')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('no port')
  return { url: `http://127.0.0.1:${address.port}`, seen }
}

function pass(url: string, incoming: IncomingMessage, answer: ServerResponse, isLost: boolean): void {
  const { method = 'GET', headers } = incoming
  const onward = request(new URL(incoming.url ?? '/', url), { method, headers }, (back) => {
    if (isLost) {
      back.resume().once('end', () => incoming.socket.destroy())
      return
    }
    answer.writeHead(back.statusCode ?? 500, back.headers)
    back.pipe(answer)
  })
  onward.once('error', () => incoming.socket.destroy())
  incoming.pipe(onward)
}

export async function eventually(
  holds: () => boolean | Promise<boolean>,
  describe: () => string = () => 'it does not hold',
): Promise<void> {
  const until = performance.now() + 60_000
  for (;;) {
    if (await Promise.resolve(holds()).catch(() => false)) return
    if (performance.now() > until) throw new Error(`waited in vain: ${describe()}`)
    await sleep(20)
  }
}

/** A port that is free, below those that the kernel gives to clients (ip_local_port_range): no connection takes it meanwhile. */
export async function freePort(): Promise<number> {
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

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name))
  } catch {
    return []
  }
}
