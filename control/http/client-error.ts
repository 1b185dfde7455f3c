// What never became a request: broken HTTP, headers too long. Answered by hand, since there is nothing of Fastify yet.
import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { ControlError, errorTable } from '../domain/errors.ts'
import { formatProblem, problemType } from './problem.ts'
import { requestIdHeader } from './request-id.ts'

const messages: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: 'the headers are longer than 16 KiB',
  ERR_HTTP_REQUEST_TIMEOUT: 'the request took too long to come',
  HPE_INVALID_EOF_STATE: 'the connection ended in the middle of the request',
}

export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const id = randomUUID()
  const fault = new ControlError('malformed', messages[error.code ?? ''] ?? 'this is no HTTP/1.1 request')
  const { status } = errorTable[fault.code]
  const body = formatProblem(fault, id)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `content-type: ${problemType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    `${requestIdHeader}: ${id}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
