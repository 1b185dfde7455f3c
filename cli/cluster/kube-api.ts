// The API server, by `kubectl proxy` on a socket of our own: with the rights and the login of kubectl, whatever they are, and
// without the tenth of a second that each start of kubectl takes.
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isObject } from '@aether/contract/json'
import { Pool } from 'undici'
import { errnoOf, Failure } from '../basics/failure.ts'
import { lastLines, missingProgram } from '../basics/run-program.ts'
import type { Env } from '../basics/settings.ts'
import { kubectlNext } from './kubectl.ts'

export interface KubeApi {
  /** The body of a success. Throws a Failure: `network` where the API server is away, else with the HTTP status as its code. */
  ask(method: 'GET' | 'POST' | 'PATCH', path: string, body?: unknown): Promise<unknown>
  /** The lines of a watch, as they come, until it ends. */
  follow(path: string, signal: AbortSignal): AsyncGenerator<string>
  close(): Promise<void>
}

export interface KubeApiOptions {
  readonly context: string
  readonly work: string
  readonly env: Env
  readonly signal: AbortSignal
}

const askMs = 15_000
/** A watch ends by itself before that. */
const silentMs = 90_000
const startMs = 15_000
/** sun_path of unix(7), and the name in the folder. */
const longestFolder = 90

export async function openKubeApi({ context, work, env, signal }: KubeApiOptions): Promise<KubeApi> {
  const folder = work.length > longestFolder ? await mkdtemp('/tmp/aether-api-') : work
  const socketPath = join(folder, 'api.sock')
  let isClosed = false
  let proxy = start()

  function start() {
    const child = spawn('kubectl', ['proxy', `--context=${context}`, `--unix-socket=${socketPath}`], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4_000)))
    const ended = new Promise<Failure>((resolve) => {
      child.once('error', (error) => resolve(missingProgram('kubectl', kubectlNext, error)))
      child.once('exit', () =>
        resolve(new Failure('runtime', 'kubectl proxy has ended', { detail: lastLines(said, 3), next: kubectlNext })),
      )
    })
    void ended.then(async () => {
      await rm(socketPath, { force: true })
      await sleep(1_000)
      if (!isClosed) proxy = start()
    })
    return { child, ended }
  }

  const client = () => new Pool('http://localhost', { connect: { socketPath }, connections: 8 })
  let asking = client()

  async function send(method: 'GET' | 'POST' | 'PATCH', path: string, body?: unknown) {
    const { statusCode, body: answer } = await asking.request({
      method,
      path,
      headersTimeout: askMs,
      bodyTimeout: askMs,
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: {
        accept: 'application/json',
        'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      },
    })
    return { status: statusCode, value: parse(await answer.text()) }
  }

  async function ask(method: 'GET' | 'POST' | 'PATCH', path: string, body?: unknown): Promise<unknown> {
    const { status, value } = await send(method, path, body).catch((cause: unknown) => {
      signal.throwIfAborted()
      throw away(cause)
    })
    if (status < 300) return value
    const said = isObject(value) && typeof value.message === 'string' ? value.message : `it answered ${status}`
    if (status === 429 || status >= 500) throw away(new Error(said))
    throw new Failure('failed', `the API server refuses: ${said}`, { code: String(status), next: kubectlNext })
  }

  const api: KubeApi = {
    ask,
    async *follow(path, until) {
      const own = client()
      try {
        const { statusCode, body } = await own.request({ method: 'GET', path, bodyTimeout: silentMs, signal: until })
        if (statusCode !== 200) throw new Error(`the watch was answered by ${statusCode}`)
        let rest = ''
        for await (const piece of body.setEncoding('utf8')) {
          const lines = (rest + String(piece)).split('\n')
          rest = lines.pop() ?? ''
          yield* lines
        }
      } finally {
        await own.destroy()
      }
    },
    async close() {
      isClosed = true
      proxy.child.kill('SIGTERM')
      await proxy.ended
      await asking.destroy()
      if (folder !== work) await rm(folder, { recursive: true, force: true })
    },
  }
  try {
    await untilOpen()
  } catch (error) {
    await api.close()
    throw error
  }
  return api

  /** The socket is there soon after the start. */
  async function untilOpen(): Promise<void> {
    const until = performance.now() + startMs
    for (;;) {
      const result = await Promise.race([proxy.ended, send('GET', '/version').catch((error: unknown) => error)])
      signal.throwIfAborted()
      if (result instanceof Failure) throw result
      if (!(result instanceof Error)) return
      if (performance.now() > until) throw away(result)
      await asking.destroy()
      asking = client()
      await sleep(20, undefined, { signal })
    }
  }
}

function away(cause: unknown): Failure {
  const why = cause instanceof Error ? (errnoOf(cause) ?? cause.message) : String(cause)
  return new Failure('network', `the API server does not answer (${why})`, {
    cause,
    next: 'kubectl get pods shows why',
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
