// One request and its answer, over node:http: every wait and every byte is bounded, redirects are left to the caller, and a
// body of known size is sent as such, because some registries take no chunked one.
import { createReadStream } from 'node:fs'
import { type ClientRequest, type IncomingHttpHeaders, request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export type Exchange = {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT'
  readonly headers?: Readonly<Record<string, string>>
  /** A file, or the bytes themselves. */
  readonly body?: { readonly size: number; readonly from: string | Uint8Array }
  /** Most bytes of an answer of status 200 (4 MiB), as of any other. */
  readonly maxBytes?: number
  /** Takes the bytes of an answer of status 200 instead of having them kept. */
  readonly onBytes?: (bytes: Uint8Array) => void
}

export type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer }

const defaultBytes = 4 << 20
const idleMs = 60_000
const totalMs = 30 * 60_000

export async function exchange(url: URL, wanted: Exchange): Promise<Answer> {
  const { method, body, maxBytes = defaultBytes, onBytes } = wanted
  const headers = { ...wanted.headers, ...(body !== undefined && { 'content-length': `${body.size}` }) }
  const start = url.protocol === 'https:' ? overHttps : overHttp
  const request = start(url, { method, headers, signal: AbortSignal.timeout(totalMs) })
  request.setTimeout(idleMs, () => request.destroy(new Error(`no byte came or went for ${idleMs / 1000} s`)))
  const sending = send(request, body)
  try {
    return await readAnswer(request, maxBytes, onBytes)
  } catch (failure) {
    request.destroy()
    // What went wrong with the body comes before what became of the connection thereby.
    throw named(method, url, (await sending) ?? failure)
  } finally {
    // A refusal may come before all is sent. Else the connection is left alone: the next request may have it already.
    if (!request.writableFinished) request.destroy()
    await sending
  }
}

/** Without the query: it may hold what lets one upload. */
function named(method: string, url: URL, error: unknown): Error {
  const why = error instanceof Error ? error.message || error.name : String(error)
  return new Error(`${method} ${url.origin}${url.pathname}: ${why}`, { cause: error })
}

/** Answers what went wrong instead of throwing it: it ends the request too, and so the wait for its answer. */
async function send(request: ClientRequest, body: Exchange['body']): Promise<unknown> {
  if (body === undefined) {
    request.end()
    return undefined
  }
  const source = typeof body.from === 'string' ? createReadStream(body.from) : Readable.from([body.from])
  return pipeline(source, request).then(
    () => undefined,
    (error: unknown) => error,
  )
}

function readAnswer(request: ClientRequest, maxBytes: number, onBytes: Exchange['onBytes']): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.once('error', reject)
    request.once('response', (response) => {
      const status = response.statusCode ?? 0
      const limit = status === 200 ? maxBytes : defaultBytes
      const kept: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > limit) response.destroy(new Error(`the answer has more than ${limit} bytes`))
        else if (onBytes !== undefined && status === 200) onBytes(chunk)
        else kept.push(chunk)
      })
      response.once('error', reject)
      response.once('end', () => resolve({ status, headers: response.headers, body: Buffer.concat(kept) }))
    })
  })
}
