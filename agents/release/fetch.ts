// Stage 2. The artifact's bytes as they come, hashed on the way; the last thing the stream does is to hold the digest
// against them, so whoever has read it to its end has the right bytes.
import { createHash } from 'node:crypto'
import { annotations } from '@aether/contract/annotations'
import { digestFromHex } from '@aether/contract/digest'
import { type ReasonError, refusal } from '@aether/contract/reasons'
import { redactUrl, type Target } from '@aether/contract/target'
import type { Authorize } from '@aether/runtime/control-token'
import type { Downloads } from './download.ts'
import type { SourcePolicy } from './origins.ts'
import type { RateLimits } from './rate.ts'
import type { PresumedTarget, SignedTarget } from './verify.ts'

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
  /** What it begins with: so many bytes, or all where it has fewer. They come with `drain` all the same. */
  first(least: number): Promise<Uint8Array>
  /** Reads to the end and answers the proof; `take` gets each chunk. What `take` throws waits until the digest is known. */
  drain(take: (chunk: Uint8Array) => void | Promise<void>): Promise<Held>
  /** Lets go of the connection; for who does not drain to the end. */
  cancel(): void
}

/** Asks for the artifact. Throws ReasonError `download`; drain also `checksum`. */
export async function fetchArtifact(
  presumed: PresumedTarget,
  downloads: Downloads,
  before?: Target,
): Promise<ArtifactStream> {
  const download = await downloads.open(presumed.target.artifactUrl)
  const signed = presumed.confirm()
  const chunks = download.read()
  let begun: Uint8Array = Buffer.alloc(0)

  async function* all(): AsyncGenerator<Uint8Array> {
    if (begun.length > 0) yield begun
    yield* chunks
  }
  return {
    async first(least) {
      while (begun.length < least) {
        const { value, done } = await chunks.next()
        if (done === true) break
        begun = begun.length === 0 ? value : Buffer.concat([begun, value])
      }
      return begun.subarray(0, least)
    },
    async drain(take) {
      const hash = createHash('sha256')
      let fault: unknown
      for await (const chunk of all()) {
        hash.update(chunk)
        if (fault !== undefined) continue
        try {
          await take(chunk)
        } catch (error) {
          // Bytes with the wrong digest say nothing about the archive, so the digest speaks first.
          fault = error
        }
      }
      const bytes = download.bytes()
      const found = digestFromHex(hash.digest('hex'))
      if (found !== signed.target.digest) throw wrongDigest(signed.target, found, bytes, before)
      if (fault !== undefined) throw fault
      return { signed, bytes, [held]: true }
    },
    cancel: download.cancel,
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
