// Asks for the artifact and follows redirects by hand: each hop is admitted, resolved and given its credential anew.
import { refusal } from '@aether/contract/reasons'
import { redactUrl } from '@aether/contract/target'
import type { Authorize } from '@aether/runtime/control-token'
import { parseRetryAfter } from '@aether/runtime/retry-after'
import type { Dispatcher } from 'undici'
import type { Connections } from './connect.ts'
import { downloadError, statusError } from './download-fault.ts'

export interface AskOptions {
  readonly connections: Connections
  /** Asked for each hop, so that a redirect to elsewhere carries nothing along. */
  readonly authorize: Authorize | undefined
  readonly idleMs: number
  readonly totalMs: number
}

export interface Answer extends Dispatcher.ResponseData {
  /** Of the last hop. */
  readonly url: string
}

/** A part of a representation (RFC 9110, 14.2): `bytes=from-to`, and the strong ETag that it must still have. */
export interface Part {
  readonly range: string
  readonly etag?: string
}

const maxRedirects = 5

/** As long as a slow retry is. */
const mostRetryAfterMs = 60_000

/** Answers what came with status 200; or 206, where a part alone is asked for. Throws ReasonError `download`. */
export async function askArtifact(
  start: string,
  options: AskOptions,
  signal: AbortSignal,
  part?: Part,
): Promise<Answer> {
  let url = start
  let isFresh = false
  for (let hops = 0; hops <= maxRedirects; hops++) {
    const response = await ask(url, options, signal, part).catch((error: unknown) => {
      throw downloadError(error, url, 'unreachable', options)
    })
    const { statusCode, headers, body } = response
    if (statusCode === 200 || (statusCode === 206 && part !== undefined)) return { ...response, url }
    await discard(body)
    if (statusCode === 403 && hops > 0 && !isFresh) {
      // The right to read may be in the redirect, and have run out since it was made.
      isFresh = true
      url = start
      hops = -1
      continue
    }
    const location = headers.location
    if (statusCode < 300 || statusCode > 399 || typeof location !== 'string')
      throw statusError(statusCode, url, parseRetryAfter(headers['retry-after'], mostRetryAfterMs))
    if (!URL.canParse(location, url))
      throw refusal('download', 'redirect', `${redactUrl(url)} redirects to what is no URL`)
    url = redirected(url, new URL(location, url))
  }
  throw refusal('download', 'redirect', `${redactUrl(start)} redirects more than ${maxRedirects} times`)
}

/** One hop, with the credential that its own URL may have; once more where that was refused, since it may just have been renewed. */
async function ask(url: string, { connections, authorize }: AskOptions, signal: AbortSignal, part?: Part) {
  async function once() {
    const authorization = await authorize?.(url)
    const headers = {
      'accept-encoding': 'identity',
      'user-agent': 'aether',
      ...(part === undefined ? {} : { range: part.range }),
      ...(part?.etag === undefined ? {} : { 'if-range': part.etag }),
      ...(authorization === undefined ? {} : { authorization }),
    }
    return { response: await connections.send(url, headers, signal), isAuthorized: authorization !== undefined }
  }
  const { response, isAuthorized } = await once()
  if (response.statusCode !== 401 || !isAuthorized) return response
  await discard(response.body)
  return (await once()).response
}

/** Reads a little of an answer so that the connection can be used again; more is not worth it. */
async function discard(body: Dispatcher.ResponseData['body']): Promise<void> {
  await body.dump({ limit: 16 * 1024 }).catch(() => undefined)
}

function redirected(from: string, to: URL): string {
  if ((to.protocol === 'http:' || to.protocol === 'https:') && to.username === '' && to.password === '') return to.href
  throw refusal(
    'download',
    'redirect',
    `${redactUrl(from)} redirects to ${redactUrl(to.href)}: only http(s) without credentials is followed`,
  )
}
