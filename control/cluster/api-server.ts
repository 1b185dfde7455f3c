// Requests to the API server: JSON in, JSON out, bounded in time and bytes, and the stream of a watch.
import type { Readable } from 'node:stream'
import { type Dispatcher, request } from 'undici'
import { numberAt, textAt } from './json-path.ts'
import type { Endpoint } from './kube-config.ts'

export class ApiServerError extends Error {
  override readonly name = 'ApiServerError'
  /** HTTP status, or the code of an ERROR event; 0 where no whole answer came. 410 asks for a fresh list. */
  readonly status: number

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly accept?: string
  readonly body?: unknown
  /** Of the body; `application/json` where it is left out. */
  readonly contentType?: string
}

/** Both throw ApiServerError. */
export interface ApiServer {
  send(request: ApiRequest, signal?: AbortSignal): Promise<unknown>
  /** Each line of a 2xx answer, parsed. */
  stream(path: string, accept: string, signal: AbortSignal): Promise<AsyncIterable<unknown>>
}

/** https://kubernetes.io/docs/reference/using-api/server-side-apply/ */
export const applyPatch = 'application/apply-patch+yaml'
/** RFC 7386: null removes. */
export const mergePatch = 'application/merge-patch+json'

const answerMs = 20_000
const maxAnswerBytes = 64 * 1024 * 1024
const maxErrorBytes = 64 * 1024
const maxLineChars = 4 * 1024 * 1024

export function createApiServer(endpoint: Endpoint): ApiServer {
  async function ask({ method, path, accept, body, contentType }: ApiRequest, signal: AbortSignal) {
    try {
      const { headers, dispatcher } = await endpoint.credentials()
      const response = await request(`${endpoint.url}${path}`, {
        method,
        dispatcher,
        signal,
        headers: {
          ...headers,
          accept: accept ?? 'application/json',
          'user-agent': 'aether-control',
          ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
      })
      if (response.statusCode >= 200 && response.statusCode < 300) return response
      throw statusError(response.statusCode, parseJson(await textOf(response, maxErrorBytes).catch(() => '')))
    } catch (error) {
      throw unreached(error, signal)
    }
  }

  return {
    async send(asked, signal) {
      const late = AbortSignal.timeout(answerMs)
      const bound = signal === undefined ? late : AbortSignal.any([signal, late])
      const response = await ask(asked, bound)
      const text = await textOf(response, maxAnswerBytes).catch((error: unknown) => {
        throw unreached(error, bound)
      })
      const answer = parseJson(text)
      if (answer === undefined) throw new ApiServerError(0, 'the API server sent an answer that is no JSON')
      return answer
    },
    async stream(path, accept, signal) {
      return linesOf((await ask({ method: 'GET', path, accept }, signal)).body, signal)
    },
  }
}

/** A Status object (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/) as an error. */
export function statusError(status: number, body: unknown): ApiServerError {
  const message = textAt(body, 'message') ?? 'no reason given'
  return new ApiServerError(numberAt(body, 'code') ?? status, message.slice(0, 1000))
}

async function textOf({ body }: Dispatcher.ResponseData, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue
    bytes += chunk.byteLength
    if (bytes > maxBytes) throw new ApiServerError(0, `the API server's answer is larger than ${maxBytes} bytes`)
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function* linesOf(body: Readable, signal: AbortSignal): AsyncGenerator {
  let rest = ''
  try {
    for await (const piece of body.setEncoding('utf8')) {
      const lines = `${rest}${String(piece)}`.split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > maxLineChars) throw new Error(`an event is longer than ${maxLineChars} characters`)
      for (const line of lines) if (line !== '') yield parseJson(line)
    }
  } catch (error) {
    throw unreached(error, signal)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unreached(error: unknown, signal: AbortSignal): ApiServerError {
  if (error instanceof ApiServerError) return error
  if (signal.aborted && signal.reason instanceof ApiServerError) return signal.reason
  const message = error instanceof Error ? error.message : String(error)
  return new ApiServerError(0, `the API server cannot be reached: ${message}`, { cause: error })
}
