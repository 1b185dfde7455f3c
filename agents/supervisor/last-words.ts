// What the app wrote to stderr last, kept while it is passed on unchanged: a person who looks why a release did not come
// up finds it in the log and in supervisor.json.
import type { Readable, Writable } from 'node:stream'

export interface LastWords {
  /** The last lines, without control characters; empty where it said nothing. */
  text(): string
}

const mostBytes = 4096
const mostLines = 20
const longestLine = 300

export function passOn(from: Readable, to: Writable): LastWords {
  let tail = Buffer.alloc(0)
  from.on('data', (piece: Buffer) => {
    tail = Buffer.concat([tail, piece]).subarray(-mostBytes)
    if (to.write(piece)) return
    from.pause()
    to.once('drain', () => from.resume())
  })
  from.on('error', () => undefined)
  return {
    text: () =>
      tail
        .toString('utf8')
        .split('\n')
        .map((line) => line.replace(/\p{Cc}/gu, ' ').trimEnd())
        .filter((line) => line !== '')
        .slice(-mostLines)
        .map((line) => line.slice(0, longestLine))
        .join('\n'),
  }
}

const said = new WeakMap<Error, string>()

/** They travel with the error of a release that did not come up. */
export function withWords<E extends Error>(error: E, words: LastWords | undefined): E {
  const text = words?.text() ?? ''
  if (text !== '') said.set(error, text)
  return error
}

/** Null where the app said nothing. */
export function lastWordsOf(error: Error): string | null {
  return said.get(error) ?? null
}
