// A server that drips is ended before the total limit. Only the time that is waited for it counts: a slow disk is none
// of its doing.
import { refusal } from '@aether/contract/reasons'
import { redactUrl } from '@aether/contract/target'

export interface RateLimits {
  /** 0 is no limit. */
  readonly minBytesPerSec: number
  /** The time that one judgement is made of. */
  readonly rateWindowMs: number
}

/** Passes chunks on. Throws ReasonError `download`, `too_slow`, where a whole window of waiting brought too little. */
export async function* refuseSlow(
  chunks: AsyncIterable<Uint8Array>,
  { minBytesPerSec, rateWindowMs }: RateLimits,
  url: string,
): AsyncGenerator<Uint8Array> {
  let [bytes, waitedMs, since] = [0, 0, performance.now()]
  for await (const chunk of chunks) {
    waitedMs += performance.now() - since
    bytes += chunk.length
    if (waitedMs >= rateWindowMs) {
      const bytesPerSec = Math.floor((bytes * 1000) / waitedMs)
      if (bytesPerSec < minBytesPerSec) throw tooSlow(url, bytesPerSec, minBytesPerSec)
      bytes = 0
      waitedMs = 0
    }
    yield chunk
    since = performance.now()
  }
}

function tooSlow(url: string, found: number, least: number) {
  return refusal(
    'download',
    'too_slow',
    `${redactUrl(url)} gives ${found} bytes a second, and ${least} is the least: lower AETHER_DOWNLOAD_MIN_BYTES_PER_SEC if that is right`,
  )
}
