// What one refresh downloads: each file with the same checks, limits and credentials, over connections that they share.
import { setImmediate as turn } from 'node:timers/promises'
import { type Answer, askArtifact, type Part } from './ask.ts'
import { openConnections } from './connect.ts'
import { downloadError, tooLarge } from './download-fault.ts'
import type { FetchOptions } from './fetch.ts'
import { refuseSlow } from './rate.ts'
import { readBody } from './resume.ts'

export interface Downloads {
  /** Asks for a file, or a part of it. Throws ReasonError `download`. */
  open(url: string, part?: Part): Promise<Download>
  /** Whether the time for all of them is over, or the refresh is. */
  readonly signal: AbortSignal
  /** Ends what is under way; connections are kept for the next refresh where this one went well. */
  close(isWell: boolean): void
}

export interface Download {
  /** After all redirects. */
  readonly url: string
  /** False where the whole came though a part was asked for. */
  readonly isPart: boolean
  readonly headers: Answer['headers']
  /** The bytes that came so far. */
  bytes(): number
  /** To be read once. Throws ReasonError `download`. */
  read(): AsyncGenerator<Uint8Array>
  /** Lets go of it; for who does not read to the end. */
  cancel(): void
}

/** `meanwhile` is done once, while the first answer is on its way; what it throws is not told here. */
export function openDownloads(options: FetchOptions, signal: AbortSignal, meanwhile: () => unknown): Downloads {
  const bound = AbortSignal.any([signal, AbortSignal.timeout(options.totalMs)])
  const connections = openConnections(options.sources, options.idleMs)
  const asking = { ...options, connections }
  let isFirst = true

  async function* read(answer: Answer, start: string, count: (bytes: number) => number): AsyncGenerator<Uint8Array> {
    try {
      const rest = ({ from, etag }: { from: number; etag: string }) =>
        askArtifact(start, asking, bound, { range: `bytes=${from}-`, etag })
      for await (const chunk of refuseSlow(readBody(answer, rest, bound), options, answer.url)) {
        if (count(chunk.length) > options.maxArtifactBytes) throw tooLarge(answer.url, options)
        yield chunk
      }
    } catch (error) {
      throw downloadError(error, answer.url, 'truncated', options)
    }
  }

  /** A turn to connect and another to send the request, where that takes no longer: then it costs the answer nothing. */
  async function workMeanwhile(asked: Promise<unknown>): Promise<void> {
    isFirst = false
    asked.catch(() => undefined) // it is awaited, and thrown, a little later
    await turn()
    await turn()
    try {
      meanwhile()
    } catch {
      // Whoever needs it asks again.
    }
  }

  return {
    signal: bound,
    async open(start, part) {
      const asked = askArtifact(start, asking, bound, part)
      if (isFirst) await workMeanwhile(asked)
      const answer = await asked
      const { headers, body, url, statusCode } = answer
      const cancel = () => void body.on('error', () => {}).destroy()
      if (Number(headers['content-length'] ?? 0) > options.maxArtifactBytes) {
        cancel()
        throw tooLarge(url, options)
      }
      let bytes = 0
      return {
        url,
        isPart: statusCode === 206,
        headers,
        bytes: () => bytes,
        read: () => read(answer, start, (more) => (bytes += more)),
        cancel,
      }
    },
    close: connections.close,
  }
}
