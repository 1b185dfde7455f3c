// One connection on which one request at a time is asked, strictly: whatever is not a whole answer is a Fault.
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Answer, createAnswerReader } from './answer-reader.ts'
import { Fault, toFault } from './fault.ts'
import type { Target } from './protocol.ts'

export interface Connection {
  /** When its connect began, by performance.now(). */
  readonly openedAt: number
  readonly connectMs: number
  isOpen(): boolean
  /** Sends and resolves with the whole answer. Rejects with a Fault; then the connection is closed. */
  ask(request: Buffer): Promise<Answer>
  /** A part of a request, to be finished by `ask`. */
  send(part: Buffer): void
  close(): void
}

/** Rejects with a Fault. A connection on which nothing moves for `limitMs` has failed. */
export function openConnection({ port, isTls }: Target, limitMs = 10_000): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const openedAt = performance.now()
    const address = { host: '127.0.0.1', port, noDelay: true }
    // The certificate is the bench's own, made for this run.
    const socket: Socket = isTls ? connectTls({ ...address, rejectUnauthorized: false }) : connect(address)
    let connectMs = 0
    const fail = (error: Error) => reject(toFault(error))
    socket.once('error', fail)
    socket.setTimeout(limitMs, () => socket.destroy(new Fault('timeout', `nothing came for ${limitMs} ms`)))
    socket.once('connect', () => {
      connectMs = performance.now() - openedAt
    })
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      socket.off('error', fail)
      resolve(speakOver(socket, openedAt, connectMs))
    })
  })
}

function speakOver(socket: Socket, openedAt: number, connectMs: number): Connection {
  const reader = createAnswerReader()
  let waiting: { resolve(answer: Answer): void; reject(fault: Fault): void } | undefined
  let fault: Fault | undefined

  function end(why: Fault): void {
    fault ??= why
    socket.destroy()
    waiting?.reject(fault)
    waiting = undefined
  }
  socket.on('data', (chunk: Buffer) => {
    try {
      const answer = reader.push(chunk)
      if (answer === undefined) return
      if (waiting === undefined) throw new Fault('malformed', 'an answer that nobody asked for')
      const { resolve } = waiting
      waiting = undefined
      resolve(answer)
    } catch (error) {
      end(toFault(error))
    }
  })
  const closed = () =>
    end(
      reader.isWithin()
        ? new Fault('truncated', 'the connection ended within an answer')
        : new Fault('reset', 'the connection ended without an answer'),
    )
  socket.on('end', closed)
  socket.on('close', closed)
  // A reset within an answer has truncated it.
  socket.on('error', (error) => (reader.isWithin() && toFault(error).kind === 'reset' ? closed() : end(toFault(error))))

  return {
    openedAt,
    connectMs,
    isOpen: () => fault === undefined,
    send: (part) => void socket.write(part),
    ask: (request) =>
      new Promise((resolve, reject) => {
        if (fault !== undefined) return reject(fault)
        waiting = { resolve, reject }
        socket.write(request)
      }),
    close() {
      fault ??= new Fault('other', 'closed by ourselves')
      socket.destroy()
    },
  }
}
