// One small request to control. Over node:http, so that an agent that waits for control has loaded no more for it.
// When to ask again is the agent's business.
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Authorize } from './control-token.ts'
import { parseRetryAfter } from './retry-after.ts'

export interface ControlRequest {
  readonly method: 'GET' | 'PUT'
  /** Below AETHER_CONTROL_URL. */
  readonly path: string
  /** JSON. */
  readonly body?: string
}

export interface ControlAnswer {
  readonly status: number
  /** What a busy control asks for, at most 30 s; 0 where it says nothing. */
  readonly retryAfterMs: number
  /** `undefined` where it is larger than an answer of control can be. */
  readonly body: string | undefined
}

export interface ControlClient {
  /** Resolves with any answer, a redirect too: none is followed. Rejects where none came whole, or `signal` aborted. */
  send(request: ControlRequest, signal: AbortSignal): Promise<ControlAnswer>
}

const maxBodyBytes = 64 * 1024
const mostRetryAfterMs = 30_000

export function createControlClient(url: string, authorize: Authorize): ControlClient {
  async function once({ method, path, body }: ControlRequest, signal: AbortSignal): Promise<ControlAnswer> {
    const whole = `${url}${path}`
    const authorization = await authorize(whole)
    const headers = {
      accept: 'application/json',
      'user-agent': 'aether',
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...(authorization === undefined ? {} : { authorization }),
    }
    // Requests are rare: a connection kept for the next one would only be found closed.
    const options = { method, headers, signal, agent: false } as const
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const send = whole.startsWith('https:') ? requestHttps : requestHttp
      send(whole, options, resolve).on('error', reject).end(body)
    })
    return {
      status: response.statusCode ?? 0,
      retryAfterMs: parseRetryAfter(response.headers['retry-after'], mostRetryAfterMs),
      body: await readBody(response),
    }
  }

  return {
    async send(request, signal) {
      const answer = await once(request, signal)
      // The token may have been renewed in that moment; `once` reads it again.
      return answer.status === 401 ? once(request, signal) : answer
    },
  }
}

async function readBody(response: IncomingMessage): Promise<string | undefined> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of response) {
    if (!(piece instanceof Uint8Array)) continue
    bytes += piece.length
    // Leaving the loop closes the connection.
    if (bytes > maxBodyBytes) return undefined
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}
