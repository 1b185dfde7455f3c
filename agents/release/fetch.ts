// Stage 2. The artifact's bytes as they come, hashed on the way; the last thing the stream does is to hold the digest
// against them, so whoever has read it to its end has the right bytes.
import { createHash } from 'node:crypto'
import { annotations } from '@aether/contract/annotations'
import { digestFromHex } from '@aether/contract/digest'
import { ReasonError, refusal } from '@aether/contract/reasons'
import { redactUrl, type Target } from '@aether/contract/target'
import type { Authorize } from '@aether/runtime/control-token'
import type { SignedTarget } from './verify.ts'

export interface FetchLimits {
  readonly maxArtifactBytes: number
  /** To the response's headers, and between two chunks. */
  readonly idleMs: number
  readonly totalMs: number
}

export interface FetchOptions extends FetchLimits {
  /** Asked for each hop, so that a redirect to elsewhere carries nothing along. */
  readonly authorize: Authorize | undefined
}

const held = Symbol('held')

/** Proof that the bytes of `signed` came whole and have its digest. Only the end of the stream makes one. */
export interface Held {
  readonly signed: SignedTarget
  readonly bytes: number
  readonly [held]: true
}

export interface ArtifactStream {
  /** Reads to the end and answers the proof; `take` gets each chunk. What `take` throws waits until the digest is known. */
  drain(take: (chunk: Uint8Array) => void | Promise<void>): Promise<Held>
  /** Lets go of the connection; for who does not drain to the end. */
  cancel(): void
}

const maxRedirects = 5

/** Asks for the artifact. Throws ReasonError `download`; drain also `checksum`. An aborted `signal` ends both. */
export async function fetchArtifact(
  signed: SignedTarget,
  options: FetchOptions,
  signal: AbortSignal,
  before?: Target,
): Promise<ArtifactStream> {
  const bound = AbortSignal.any([signal, AbortSignal.timeout(options.totalMs)])
  const { body, url } = await request(signed.target.artifactUrl, options, bound)
  return {
    async drain(take) {
      const hash = createHash('sha256')
      let bytes = 0
      let fault: unknown
      try {
        for await (const chunk of chunksOf(body)) {
          bytes += chunk.length
          if (bytes > options.maxArtifactBytes) throw tooLarge(url, options)
          hash.update(chunk)
          if (fault !== undefined) continue
          try {
            await take(chunk)
          } catch (error) {
            // Bytes with the wrong digest say nothing about the archive, so the digest speaks first.
            fault = error
          }
        }
      } catch (error) {
        throw downloadError(error, url, 'truncated', options)
      }
      const found = digestFromHex(hash.digest('hex'))
      if (found !== signed.target.digest) throw wrongDigest(signed.target, found, bytes, before)
      if (fault !== undefined) throw fault
      return { signed, bytes, [held]: true }
    },
    cancel: () => void body.on('error', () => {}).destroy(),
  }
}

async function request(start: string, options: FetchOptions, signal: AbortSignal) {
  let url = start
  for (let hops = 0; hops <= maxRedirects; hops++) {
    const { statusCode, headers, body } = await ask(url, options, signal).catch((error: unknown) => {
      throw downloadError(error, url, 'unreachable', options)
    })
    if (statusCode === 200) {
      if (Number(headers['content-length'] ?? 0) > options.maxArtifactBytes) {
        body.destroy()
        throw tooLarge(url, options)
      }
      return { body, url }
    }
    await discard(body)
    const location = headers.location
    if (statusCode < 300 || statusCode > 399 || typeof location !== 'string') throw statusError(statusCode, url)
    if (!URL.canParse(location, url))
      throw refusal('download', 'redirect', `${redactUrl(url)} redirects to what is no URL`)
    url = redirected(url, new URL(location, url))
  }
  throw refusal('download', 'redirect', `${redactUrl(start)} redirects more than ${maxRedirects} times`)
}

/** One hop, with the credential that its own URL may have; once more where that was refused, since it may just have been renewed. */
async function ask(url: string, { idleMs, authorize }: FetchOptions, signal: AbortSignal) {
  // Loaded with the first refresh: an idle agent does not pay for it.
  const { request: send } = await import('undici')
  async function once() {
    const authorization = await authorize?.(url)
    const headers = {
      'accept-encoding': 'identity',
      'user-agent': 'aether',
      ...(authorization === undefined ? {} : { authorization }),
    }
    const response = await send(url, { headers, headersTimeout: idleMs, bodyTimeout: idleMs, signal })
    return { response, isAuthorized: authorization !== undefined }
  }
  const { response, isAuthorized } = await once()
  if (response.statusCode !== 401 || !isAuthorized) return response
  await discard(response.body)
  return (await once()).response
}

/** Reads a little of an answer so that the connection can be used again; more is not worth it. */
async function discard(body: { dump(options: { limit: number }): Promise<unknown> }): Promise<void> {
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

async function* chunksOf(body: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) if (chunk instanceof Uint8Array) yield chunk
}

function statusError(status: number, url: string): ReasonError {
  const shown = redactUrl(url)
  if (status === 404)
    return refusal(
      'download',
      'not_found',
      `${shown} answers 404: publish the artifact there, or mend ${annotations.artifactUrl}`,
    )
  if (status === 401 || status === 403)
    return refusal('download', 'forbidden', `${shown} answers ${status}: the pod has no right to read it`)
  return refusal('download', 'http_status', `${shown} answers ${status}`)
}

function tooLarge(url: string, limits: FetchLimits): ReasonError {
  return refusal(
    'download',
    'too_large',
    `${redactUrl(url)} is larger than ${limits.maxArtifactBytes} bytes: raise AETHER_MAX_ARTIFACT_BYTES if that is right`,
  )
}

function wrongDigest(target: Target, found: string, bytes: number, before: Target | undefined): ReasonError {
  const url = redactUrl(target.artifactUrl)
  if (before !== undefined && found === before.digest)
    return refusal(
      'checksum',
      'stale',
      `${annotations.digest} changed to ${target.digest}, and ${annotations.artifactUrl} (${url}) still serves the artifact before it, ${found}: write digest, URL and signature in one annotate`,
    )
  return refusal(
    'checksum',
    'mismatch',
    `${url} served ${bytes} bytes with ${found}, and ${annotations.digest} asks for ${target.digest}`,
  )
}

function downloadError(
  error: unknown,
  url: string,
  otherwise: 'unreachable' | 'truncated',
  limits: FetchLimits,
): unknown {
  if (error instanceof ReasonError) return error
  const { name, code, message } = describe(error)
  if (name === 'AbortError') return error
  const timedOut = name === 'TimeoutError' || (code.includes('TIMEOUT') && code !== 'UND_ERR_CONNECT_TIMEOUT')
  const shown = redactUrl(url)
  if (timedOut)
    return refusal(
      'download',
      'timeout',
      `${shown} gave nothing for ${limits.idleMs} ms, or not all in ${limits.totalMs} ms`,
      { cause: error },
    )
  const what = otherwise === 'unreachable' ? 'cannot be reached' : 'broke off before the end'
  return refusal('download', otherwise, `${shown} ${what}: ${code === '' ? message : code}`, { cause: error })
}

function describe(error: unknown): { name: string; code: string; message: string } {
  if (!(error instanceof Error)) return { name: '', code: '', message: String(error) }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return { name: error.name, code, message: error.message }
}
