// Stage 2. The artifact's bytes as they come, hashed on the way; the last thing the stream does is to hold the digest
// against them, so whoever has read it to its end has the right bytes.
import { createHash } from 'node:crypto'
import { annotations } from '@aether/contract/annotations'
import { digestFromHex } from '@aether/contract/digest'
import { type ReasonError, refusal } from '@aether/contract/reasons'
import { redactUrl, type Target } from '@aether/contract/target'
import type { Authorize } from '@aether/runtime/control-token'
import { type Answer, type AskOptions, askArtifact } from './ask.ts'
import { openConnections } from './connect.ts'
import { downloadError, tooLarge } from './download-fault.ts'
import type { SourcePolicy } from './origins.ts'
import { type RateLimits, refuseSlow } from './rate.ts'
import { readBody } from './resume.ts'
import type { SignedTarget } from './verify.ts'

export interface FetchLimits extends RateLimits {
  readonly maxArtifactBytes: number
  /** To the response's headers, and between two chunks. */
  readonly idleMs: number
  readonly totalMs: number
}

export interface FetchOptions extends FetchLimits {
  /** Asked for each hop, so that a redirect to elsewhere carries nothing along. */
  readonly authorize: Authorize | undefined
  readonly sources: SourcePolicy
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

/** Asks for the artifact. Throws ReasonError `download`; drain also `checksum`. An aborted `signal` ends both. */
export async function fetchArtifact(
  signed: SignedTarget,
  options: FetchOptions,
  signal: AbortSignal,
  before?: Target,
): Promise<ArtifactStream> {
  const bound = AbortSignal.any([signal, AbortSignal.timeout(options.totalMs)])
  const connections = openConnections(options.sources, options.idleMs)
  const asking = { ...options, connections }
  const { artifactUrl } = signed.target
  const answer = await begin(artifactUrl, asking, bound)
  const { url } = answer
  return {
    async drain(take) {
      const hash = createHash('sha256')
      let bytes = 0
      let fault: unknown
      try {
        const body = readBody(answer, (rest) => askArtifact(artifactUrl, asking, bound, rest), bound)
        for await (const chunk of refuseSlow(body, options, url)) {
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
      } finally {
        connections.close()
      }
      const found = digestFromHex(hash.digest('hex'))
      if (found !== signed.target.digest) throw wrongDigest(signed.target, found, bytes, before)
      if (fault !== undefined) throw fault
      return { signed, bytes, [held]: true }
    },
    cancel() {
      answer.body.on('error', () => {}).destroy()
      connections.close()
    },
  }
}

async function begin(start: string, options: FetchOptions & AskOptions, signal: AbortSignal): Promise<Answer> {
  try {
    const answer = await askArtifact(start, options, signal)
    const { headers, body, url } = answer
    if (Number(headers['content-length'] ?? 0) <= options.maxArtifactBytes) return answer
    body.on('error', () => {}).destroy()
    throw tooLarge(url, options)
  } catch (error) {
    options.connections.close()
    throw error
  }
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
