// An answer before the end of the body: a client that is still sending would lose it, because closing a socket with
// unread bytes resets it (RFC 9112, section 9.6). So the rest is read and thrown away, up to a bound.
import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { awaitsContinue } from './expect.ts'

const mostBytes = 64 * 1024 * 1024
const longestMs = 15_000

/** Answers whether there is a rest. A client that waits for 100 Continue sends none: its connection is closed. */
export function drainRest(request: IncomingMessage): boolean {
  const { socket } = request
  // What inject() makes has no socket.
  if (
    !(socket instanceof Socket) ||
    request.complete ||
    socket.destroyed ||
    awaitsContinue(request) ||
    request.httpVersion !== '1.1'
  )
    return false
  const until = socket.bytesRead + mostBytes
  const late = setTimeout(() => socket.destroy(), longestMs).unref()
  request.on('data', () => {
    if (socket.bytesRead > until) socket.destroy()
  })
  request.on('error', () => {}) // the client left: there is nothing more to throw away
  request.once('close', () => clearTimeout(late))
  request.resume()
  return true
}
