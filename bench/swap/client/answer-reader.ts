// Reads one HTTP/1.1 answer at a time from the bytes of a connection, and takes only what is provably whole (RFC 9112
// section 6): a length or chunks. A body that ends with the connection could not be told from a truncated one.
import { Fault } from './fault.ts'

export interface Answer {
  readonly status: number
  readonly body: string
  /** The server will close: `Connection: close`. */
  readonly isLast: boolean
}

export interface AnswerReader {
  /** The answer once its last byte is there. Throws Fault `malformed`. */
  push(chunk: Buffer): Answer | undefined
  /** A part of an answer has come. */
  isWithin(): boolean
}

const maxHeadBytes = 16 * 1024
const maxBytes = 1024 * 1024
const nothing = Buffer.alloc(0)

export function createAnswerReader(): AnswerReader {
  let pending: Buffer = nothing
  return {
    push(chunk) {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
      if (pending.length > maxBytes) throw new Fault('malformed', `an answer of more than ${maxBytes} bytes`)
      const found = readAnswer(pending)
      if (found === undefined) return undefined
      if (found.end < pending.length) throw new Fault('malformed', 'bytes after the end of an answer')
      pending = nothing
      return found.answer
    },
    isWithin: () => pending.length > 0,
  }
}

/** Undefined while more is to come. */
function readAnswer(bytes: Buffer): { readonly answer: Answer; readonly end: number } | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd === -1) {
    if (bytes.length > maxHeadBytes) throw new Fault('malformed', 'a head without an end')
    return undefined
  }
  const head = bytes.toString('latin1', 0, headEnd)
  const status = /^HTTP\/1\.1 ([1-5]\d\d) /.exec(head)?.[1]
  if (status === undefined) throw new Fault('malformed', `no status line: ${JSON.stringify(head.slice(0, 40))}`)
  const from = headEnd + 4
  const length = /\r\ncontent-length: *(\d+) *(?:\r|$)/i.exec(head)?.[1]
  const isChunked = /\r\ntransfer-encoding: *chunked *(?:\r|$)/i.test(head)
  if (isChunked === (length !== undefined)) throw new Fault('malformed', 'neither a length nor chunks, or both')
  const body = isChunked ? readChunks(bytes, from) : readLength(bytes, from, Number(length))
  if (body === undefined) return undefined
  const isLast = /\r\nconnection: *close *(?:\r|$)/i.test(head)
  return { answer: { status: Number(status), body: body.text, isLast }, end: body.end }
}

interface Body {
  readonly text: string
  readonly end: number
}

function readLength(bytes: Buffer, from: number, length: number): Body | undefined {
  const end = from + length
  return end > bytes.length ? undefined : { text: bytes.toString('latin1', from, end), end }
}

function readChunks(bytes: Buffer, from: number): Body | undefined {
  let text = ''
  for (let at = from; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const size = /^([0-9a-f]{1,6})(?:;.*)?$/i.exec(bytes.toString('latin1', at, lineEnd))?.[1]
    if (size === undefined) throw new Fault('malformed', 'a chunk without a size')
    const start = lineEnd + 2
    const end = start + Number.parseInt(size, 16)
    if (end + 2 > bytes.length) return undefined
    if (bytes.toString('latin1', end, end + 2) !== '\r\n')
      throw new Fault('malformed', 'a chunk of another size than it says')
    if (end === start) return { text, end: end + 2 }
    text += bytes.toString('latin1', start, end)
    at = end + 2
  }
}
