// A body that goes on where its connection broke (RFC 9110, 13.1.5 and 14.2): the rest of the same representation, or
// nothing. Who reads sees one stream, so hash and archive go on too.
import { setTimeout as sleep } from 'node:timers/promises'
import { ReasonError } from '@aether/contract/reasons'
import type { Answer } from './ask.ts'

/** What is still missing of a representation. */
export interface Rest {
  readonly from: number
  readonly etag: string
}

const maxResumes = 3
const pauseMs = 500

/** Throws what broke the body, where it cannot be resumed or not a fourth time. */
export async function* readBody(
  first: Answer,
  askAgain: (rest: Rest) => Promise<Answer>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const etag = resumableBy(first)
  const total = first.headers['content-length']
  let { body } = first
  let from = 0
  let resumes = 0

  async function goOn(broken: unknown): Promise<Answer['body']> {
    if (etag === undefined) throw broken
    while (resumes++ < maxResumes) {
      await sleep(pauseMs * resumes * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined)
      signal.throwIfAborted()
      const answer = await askAgain({ from, etag }).catch(onlyPassing)
      if (answer === undefined) continue
      if (isTheRest(answer, { from, etag }, total)) return answer.body
      // Another artifact, or the whole one again: what was read already cannot be taken back.
      answer.body.on('error', () => {}).destroy()
      throw broken
    }
    throw broken
  }

  for (;;)
    try {
      for await (const chunk of body) {
        if (!(chunk instanceof Uint8Array)) continue
        from += chunk.length
        yield chunk
      }
      return
    } catch (error) {
      signal.throwIfAborted()
      body = await goOn(error)
    }
}

/** The strong ETag of an answer that says how long it is or that it gives ranges. */
function resumableBy({ headers }: Answer): string | undefined {
  const { etag, 'accept-ranges': ranges, 'content-length': length } = headers
  if (typeof etag !== 'string' || !/^"[\x21\x23-\x7e\x80-\xff]*"$/.test(etag)) return undefined
  return ranges === 'bytes' || (ranges === undefined && length !== undefined) ? etag : undefined
}

function isTheRest({ statusCode, headers }: Answer, rest: Rest, total: Answer['headers'][string]): boolean {
  const range = headers['content-range']
  const [, from, , whole] = (typeof range === 'string' && /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range)) || []
  if (statusCode !== 206 || Number(from) !== rest.from) return false
  if (headers.etag !== undefined && headers.etag !== rest.etag) return false
  return total === undefined || whole === '*' || whole === total
}

function onlyPassing(error: unknown): undefined {
  const isPassing = error instanceof ReasonError && ['unreachable', 'timeout', 'http_status'].includes(error.detail)
  // Who asks to be left alone for a while is not waited for here: that is the fetcher's pace.
  if (isPassing && error.retryAfterMs === undefined) return undefined
  throw error
}
