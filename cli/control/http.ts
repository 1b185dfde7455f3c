// Requests to control: bounded in time and size, repeated where a repeat cannot do harm, and faults told apart by whether
// the request can have arrived.
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, type Dispatcher, request } from 'undici'
import { errnoOf, Failure } from '../basics/failure.ts'
import type { Setting } from '../basics/settings.ts'
import { isUnavailable, refusalOf } from './refusal.ts'

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below control's URL, without a slash in front. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly json?: unknown
  /** A body that is made anew for each attempt; `bytes` where they are known before. */
  readonly body?: { readonly bytes: number | undefined; readonly type: string; readonly open: () => Readable }
  readonly headers?: Readonly<Record<string, string>>
  /** `repeatable`: doing it twice is doing it once. `once`: sent again only where it cannot have arrived. */
  readonly safety: 'repeatable' | 'once'
}

export interface Http {
  /** The parsed answer, null where it has no body. Throws Failure. */
  send(call: Call): Promise<unknown>
  close(): Promise<void>
}

export interface HttpOptions {
  readonly url: Setting<URL>
  readonly token: Setting<string> | undefined
  readonly signal: AbortSignal
  readonly userAgent: string
}

const attempts = 4
const firstDelayMs = 250
const maxDelayMs = 5_000
const maxAnswerBytes = 8 * 1024 * 1024

// Nothing was sent: no connection was made.
const neverSent = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** The answer to a call that may have been done, or not, did not come. */
export class LostAnswer extends Failure {}

export function createHttp(options: HttpOptions): Http {
  const agent = new Agent({ connect: { timeout: 5_000 }, headersTimeout: 60_000, bodyTimeout: 60_000 })
  return {
    async send(call) {
      for (let attempt = 1; ; attempt += 1) {
        const isLast = attempt === attempts
        try {
          const answer = await ask(agent, call, options)
          if (answer.status < 300) return answer.value
          const failure = refusalOf(answer, options)
          const again = isUnavailable(answer.status) && (call.safety === 'repeatable' || answer.status === 429)
          if (!again || isLast) throw failure
          await sleep(delayOf(attempt, answer.retryAfter), undefined, { signal: options.signal })
        } catch (error) {
          if (error instanceof Failure || options.signal.aborted) throw error
          const failure = faultOf(error, call, options)
          const again = call.safety === 'repeatable' || !(failure instanceof LostAnswer)
          if (!again || isLast || isTls(error)) throw failure
          await sleep(delayOf(attempt, undefined), undefined, { signal: options.signal })
        }
      }
    },
    close: () => agent.destroy(),
  }
}

export interface HttpAnswer {
  readonly status: number
  readonly type: string
  readonly retryAfter: string | undefined
  readonly location: string | undefined
  /** Parsed JSON; null where there is no body. */
  readonly value: unknown
  readonly isJson: boolean
}

async function ask(
  dispatcher: Dispatcher,
  call: Call,
  { url, token, signal, userAgent }: HttpOptions,
): Promise<HttpAnswer> {
  const target = new URL(call.path, url.value)
  for (const [name, value] of Object.entries(call.query ?? {}))
    if (value !== undefined) target.searchParams.set(name, value)
  const body = call.body?.open() ?? (call.json === undefined ? null : JSON.stringify(call.json))
  const {
    statusCode,
    headers,
    body: answer,
  } = await request(target, {
    dispatcher,
    method: call.method,
    signal,
    body,
    headers: {
      accept: 'application/json, application/problem+json',
      'user-agent': userAgent,
      ...(token === undefined ? {} : { authorization: `Bearer ${token.value}` }),
      ...(call.json === undefined ? {} : { 'content-type': 'application/json' }),
      ...(call.body === undefined ? {} : { 'content-type': call.body.type }),
      ...(call.body?.bytes === undefined ? {} : { 'content-length': String(call.body.bytes) }),
      ...call.headers,
    },
  })
  const type = one(headers['content-type']) ?? ''
  const text = await readBounded(answer, url.value)
  const isJson = /^application\/(?:problem\+)?json\b/.test(type)
  return {
    status: statusCode,
    type,
    retryAfter: one(headers['retry-after']),
    location: one(headers.location),
    ...parse(text, isJson, url.value, statusCode),
  }
}

function parse(text: string, isJson: boolean, url: URL, status: number): { value: unknown; isJson: boolean } {
  if (text === '') return { value: null, isJson: false }
  if (isJson)
    try {
      return { value: JSON.parse(text), isJson: true }
    } catch {
      // As below.
    }
  if (status >= 300) return { value: null, isJson: false }
  throw new Failure('network', `${url.href} answered ${status} with something that is not JSON`, {
    next: "check that AETHER_URL is that of Aether's control",
  })
}

async function readBounded(chunks: AsyncIterable<Uint8Array>, url: URL): Promise<string> {
  const held: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.length
    if (bytes > maxAnswerBytes)
      throw new Failure('network', `${url.href} answered with more than ${maxAnswerBytes} bytes`, {
        next: "check that AETHER_URL is that of Aether's control",
      })
    held.push(chunk)
  }
  return Buffer.concat(held).toString('utf8')
}

function faultOf(error: unknown, call: Call, { url }: HttpOptions): Failure {
  const code = errnoOf(error) ?? 'unknown'
  const wasSent = !neverSent.has(code)
  const where = `${url.value.href} (${url.source})`
  const what = isTls(error)
    ? `the certificate of ${where} is not trusted`
    : wasSent
      ? `the connection to control at ${where} was lost`
      : `control does not answer at ${where}`
  const next = isTls(error)
    ? 'set NODE_EXTRA_CA_CERTS to the file of its authority'
    : wasSent
      ? 'run it again; aether status says what was done'
      : 'start it (node control/main.ts), or point AETHER_URL or --url to where it runs'
  const options = { cause: error, next, code }
  return wasSent && call.safety === 'once'
    ? new LostAnswer('network', what, options)
    : new Failure('network', what, options)
}

function isTls(error: unknown): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|EPROTO/.test(errnoOf(error) ?? '')
}

function delayOf(attempt: number, retryAfter: string | undefined): number {
  const own = firstDelayMs * 2 ** (attempt - 1) * (0.75 + Math.random() / 2)
  const asked = retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) * 1_000 : 0
  return Math.min(Math.max(own, asked), maxDelayMs)
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}
