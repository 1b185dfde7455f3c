// Whether the app answers: its ready path with 2xx, or where it has none that its port takes a connection.
import { connect as connectSocket } from 'node:net'
import type { ServerKind } from './link.ts'

export interface AppAddress {
  readonly port: number
  readonly readyPath: string | undefined
  readonly kind: ServerKind
}

/** Never rejects; no answer in `timeoutMs` is a no. */
export async function askApp({ port, readyPath, kind }: AppAddress, timeoutMs: number): Promise<boolean> {
  if (readyPath === undefined || kind === 'tcp' || kind === 'tls') return takesConnection(port, timeoutMs)
  if (kind === 'h2' || kind === 'h2c') return answersWellOverHttp2(port, readyPath, kind, timeoutMs)
  return answersWell(port, readyPath, kind, timeoutMs)
}

const headers = { 'user-agent': 'aether-supervisor' }

// Loaded when first asked for: most apps need one of the three.
async function answersWell(port: number, path: string, kind: 'http' | 'https', timeoutMs: number): Promise<boolean> {
  const { request } = kind === 'https' ? await import('node:https') : await import('node:http')
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(Math.ceil(timeoutMs))
    // Its certificate names the service, not the loopback that it is asked on.
    const options = { host: '127.0.0.1', port, path, agent: false as const, signal, headers, rejectUnauthorized: false }
    const asked = request(options, (response) => {
      resolve(isGood(response.statusCode))
      response.destroy()
    })
    asked.on('error', () => resolve(false))
    asked.end()
  })
}

async function answersWellOverHttp2(
  port: number,
  path: string,
  kind: 'h2' | 'h2c',
  timeoutMs: number,
): Promise<boolean> {
  const { connect } = await import('node:http2')
  return new Promise((resolve) => {
    const session = connect(`${kind === 'h2' ? 'https' : 'http'}://127.0.0.1:${port}`, { rejectUnauthorized: false })
    const end = (answer: boolean) => {
      session.destroy()
      resolve(answer)
    }
    session.setTimeout(Math.ceil(timeoutMs), () => end(false))
    session.on('error', () => end(false))
    const asked = session.request({ ':path': path, ...headers })
    asked.on('error', () => end(false))
    asked.on('response', (got) => end(isGood(got[':status'])))
  })
}

function isGood(status: number | undefined): boolean {
  return status !== undefined && status >= 200 && status < 300
}

function takesConnection(port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectSocket({ host: '127.0.0.1', port })
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(timeoutMs, () => end(false))
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}
