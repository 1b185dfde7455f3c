// Connections of the fetcher, or of whoever else is in the pod: each becomes a numbered one of the line, and what comes back is
// written to it. Few at once, each ended where it is silent.
import { createServer, type Socket } from 'node:net'
import { encodeFrame } from '@aether/contract/relay-frames'
import type { Line } from './relay-line.ts'

const mostConnections = 16
const idleMs = 60_000

/** Resolves with false where the port is taken: by another relay, or by the app. */
export async function listenForFetcher(port: number, line: Line): Promise<boolean> {
  const open = new Map<number, Socket>()
  let count = 0
  const server = createServer((socket) => {
    count += 1
    const connection = count
    open.set(connection, socket)
    line.send(encodeFrame('open', connection))
    socket.setNoDelay(true)
    socket.setTimeout(idleMs, () => socket.destroy())
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      if (line.send(encodeFrame('data', connection, bytes))) return
      socket.pause()
      line.onDrain(() => socket.resume())
    })
    socket.on('close', () => {
      open.delete(connection)
      line.send(encodeFrame('end', connection))
    })
  })
  server.maxConnections = mostConnections
  line.receive(({ kind, connection, bytes }) => {
    const socket = open.get(connection)
    if (socket === undefined) return undefined
    if (kind === 'end') socket.end()
    if (kind !== 'data' || socket.write(bytes)) return undefined
    // One that does not take what it asked for keeps the others waiting, until it is silent for too long.
    return new Promise((resolve) => {
      socket.once('drain', resolve).once('close', () => resolve())
    })
  })
  return new Promise<boolean>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    )
    server.listen(port, '127.0.0.1', () => resolve(true))
  })
}
