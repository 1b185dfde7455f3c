// Whether the app answers: its ready path with 2xx, or where it has none that its port takes a connection.
import { request } from 'node:http'
import { connect } from 'node:net'

export interface AppAddress {
  readonly port: number
  readonly readyPath: string | undefined
}

/** Never rejects; no answer in `timeoutMs` is a no. */
export function askApp({ port, readyPath }: AppAddress, timeoutMs: number): Promise<boolean> {
  return readyPath === undefined ? takesConnection(port, timeoutMs) : answersWell(port, readyPath, timeoutMs)
}

function answersWell(port: number, path: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(Math.ceil(timeoutMs))
    const asked = request(
      { host: '127.0.0.1', port, path, agent: false, signal, headers: { 'user-agent': 'aether-supervisor' } },
      (response) => {
        const status = response.statusCode ?? 0
        resolve(status >= 200 && status < 300)
        response.destroy()
      },
    )
    asked.on('error', () => resolve(false))
    asked.end()
  })
}

function takesConnection(port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(timeoutMs, () => end(false))
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}
