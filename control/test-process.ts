// For tests: control as a process on loopback, without a cluster, which can be killed and started again in the same folder.
import { join } from 'node:path'
import { isObject } from '@aether/contract/json'
import { eventually, freePort, startProcess } from '@aether/runtime/test-process'
import type { Test } from 'tap'

const token = 'admin-token-of-the-test'

/** Of an admin. */
export const authorization = `Bearer ${token}`
export const main = join(import.meta.dirname, 'main.ts')

export interface Answer {
  readonly status: number
  readonly type: string | null
  readonly retryAfter: string | null
  readonly bytes: Buffer
  /** Empty where it is none. */
  readonly json: Readonly<Record<string, unknown>>
}

/** On `port`, else on a free one; `env` is put over its settings. */
export async function startControl(t: Test, folder: string, env: Readonly<Record<string, string>> = {}, port?: number) {
  const ownPort = port ?? (await freePort())
  const url = `http://127.0.0.1:${ownPort}`
  const start = () =>
    startProcess(t, main, {
      AETHER_API_TOKENS: `${token}:admin:ada`,
      AETHER_CONTROL_DATA_DIR: folder,
      AETHER_CONTROL_LISTEN_PORT: String(ownPort),
      AETHER_REQUIRE_SIGNATURE: 'false',
      ...env,
    })
  let running = start()

  async function exchange(method: string, path: string, type?: string, body?: string | Uint8Array): Promise<Answer> {
    const answer = await fetch(url + path, {
      method,
      headers: { authorization, ...(type === undefined ? {} : { 'content-type': type }) },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
    })
    const bytes = Buffer.from(await answer.arrayBuffer())
    const json: unknown = answer.headers.get('content-type')?.includes('json') ? JSON.parse(bytes.toString()) : {}
    return {
      status: answer.status,
      type: answer.headers.get('content-type'),
      retryAfter: answer.headers.get('retry-after'),
      bytes,
      json: isObject(json) ? json : {},
    }
  }
  const ask = (method: string, path: string, body?: object) =>
    body === undefined ? exchange(method, path) : exchange(method, path, 'application/json', JSON.stringify(body))

  // The embedded database takes seconds of two cores to be made, which may be busy.
  async function ready(): Promise<void> {
    for (let tries = 1; ; tries++)
      try {
        return await eventually('control to be ready', async () => (await ask('GET', '/readyz')).status === 200)
      } catch (error) {
        if (tries === 6) throw error
      }
  }

  return {
    url,
    ask,
    /** Bytes of this content type. */
    send: (path: string, type: string, bytes: Uint8Array) => exchange('POST', path, type, bytes),
    process: () => running,
    ready,
    async kill9() {
      running.kill('SIGKILL')
      await running.exited
    },
    restart() {
      running = start()
    },
  }
}
