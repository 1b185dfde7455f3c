// Requests to the API server with the pod's own token. Over node:http alone: it is there in every idle pod.
import { readFile } from 'node:fs/promises'
import { Agent, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps, Agent as TlsAgent } from 'node:https'
import { join } from 'node:path'
import { isObject } from '@aether/contract/json'

export class ApiServerError extends Error {
  override readonly name = 'ApiServerError'
  /** HTTP status, or the code of an ERROR event; 0 where no answer came. 410 asks for a fresh list. */
  readonly status: number

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

export interface ApiServerOptions {
  readonly url: string
  /** Folder of `token` and `ca.crt`. */
  readonly credentialsDir: string
}

export interface ApiRequest {
  readonly method: 'GET' | 'POST'
  /** With its query. */
  readonly path: string
  readonly accept: string
  readonly body?: string
}

export interface ApiServer {
  /** Resolves with the headers of a 2xx answer; its body is the caller's to read. Throws ApiServerError. */
  send(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage>
}

const headersMs = 15_000
const maxErrorChars = 16 * 1024

export function createApiServer({ url, credentialsDir }: ApiServerOptions): ApiServer {
  const secure = url.startsWith('https:')
  const agent = secure
    ? new TlsAgent({ keepAlive: true, maxSockets: 2 })
    : new Agent({ keepAlive: true, maxSockets: 2 })
  // Read at each request: tokens rotate, and so may the CA.
  const credential = (name: string) => readFile(join(credentialsDir, name), 'utf8').catch(() => undefined)

  return {
    async send({ method, path, accept, body }, signal) {
      const [token, ca] = await Promise.all([credential('token'), credential('ca.crt')])
      const headers = {
        accept,
        'user-agent': 'aether-fetcher',
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token.trim()}` }),
      }
      const options = { method, agent, headers, signal, ...(ca === undefined ? {} : { ca }) }
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        let answered = false
        const request = (secure ? requestHttps : requestHttp)(`${url}${path}`, options, (answer) => {
          answered = true
          resolve(answer)
        })
        // Until the headers; a watch may then be silent for as long as its watchdog allows.
        request.setTimeout(headersMs, () => {
          if (!answered) request.destroy(new Error(`no answer in ${headersMs} ms`))
        })
        request.on('error', (cause) =>
          reject(new ApiServerError(0, `the API server cannot be reached: ${cause.message}`, { cause })),
        )
        request.end(body)
      })
      const status = response.statusCode ?? 0
      if (status >= 200 && status < 300) return response
      let text = ''
      for await (const piece of response.setEncoding('utf8')) if (text.length < maxErrorChars) text += String(piece)
      throw statusError(status, parseJson(text))
    },
  }
}

/** A Status object (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/) as an error. */
export function statusError(status: number, body: unknown): ApiServerError {
  const code = isObject(body) && typeof body.code === 'number' ? body.code : status
  const message = isObject(body) && typeof body.message === 'string' ? body.message : 'no reason given'
  return new ApiServerError(code, `the API server answers ${code}: ${message.slice(0, 300)}`)
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
