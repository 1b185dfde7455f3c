// Our end of the relay in one pod (agents/fetcher/relay.ts): `kubectl exec` is started, and again where it ended; what the fetcher
// asks there is answered by `server`, without a port of this machine; what the agents' records say is kept.
import { spawn } from 'node:child_process'
import { createServer, type RequestListener } from 'node:http'
import { Duplex, type Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { isObject } from '@aether/contract/json'
import { beatMs, createFrameReader, encodeFrame, silentMs } from '@aether/contract/relay-frames'
import { lastLines } from '../basics/run-program.ts'
import type { Env } from '../basics/settings.ts'
import { noRecords, type PodRecords, parseRecords } from './pod-outcome.ts'

export interface PodRelay {
  readonly pod: string
  /** Whether the fetcher can ask us. */
  readonly isOpen: () => boolean
  readonly records: () => PodRecords
  /** Why it is not open; undefined while nothing is known. */
  readonly fault: () => string | undefined
  close(): Promise<void>
}

export interface PodRelayOptions {
  readonly pod: string
  readonly namespace: string
  readonly context: string
  readonly env: Env
  readonly answer: RequestListener
  readonly onChange: () => void
  /** It is open, for the first time or again. */
  readonly onOpen: () => void
}

const [firstPauseMs, longestPauseMs] = [300, 5_000]
const command = '/aether/bin/relay'

export function openPodRelay(options: PodRelayOptions): PodRelay {
  const { pod, namespace, context, env, answer, onChange, onOpen } = options
  const server = createServer(answer)
  const over = new AbortController()
  let [isOpen, records]: [boolean, PodRecords] = [false, noRecords]
  let fault: string | undefined
  let kill = () => {}

  /** Resolves when it has ended. */
  async function once(): Promise<void> {
    const place = [`--context=${context}`, `--namespace=${namespace}`, '--container=fetcher']
    const child = spawn('kubectl', ['exec', '--stdin', '--quiet', ...place, pod, '--', command], {
      env,
      stdio: 'pipe',
      detached: true,
    })
    kill = () => void child.kill('SIGKILL')
    const open = new Map<number, Duplex>()
    let [said, heardAt] = ['', performance.now()]
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2_000)))
    child.stdin.on('error', () => {})
    const beat = setInterval(() => {
      if (performance.now() - heardAt > silentMs) kill()
      else child.stdin.write(encodeFrame('beat'))
    }, beatMs)
    const exited = new Promise<void>((resolve) => {
      child.once('error', (error) => {
        said = error.message
        resolve()
      })
      child.once('close', () => resolve())
    })
    const read = createFrameReader()
    child.stdout.on('data', (piece: Buffer) => {
      heardAt = performance.now()
      try {
        for (const { kind, connection, bytes } of read(piece)) {
          if (kind === 'taken') said = 'another aether dev is at this pod, or its app listens on the port of the relay'
          if (kind === 'records') hear(bytes.toString('utf8'))
          if (kind === 'open') {
            const socket = createConnection(connection, child.stdin)
            open.set(connection, socket)
            socket.once('close', () => open.delete(connection))
            server.emit('connection', socket)
          }
          if (kind === 'data') open.get(connection)?.push(bytes)
          if (kind === 'end') open.get(connection)?.push(null)
        }
      } catch {
        said = 'what its relay says is none of ours: is its image of another version?'
        kill()
      }
    })
    await exited
    clearInterval(beat)
    for (const socket of open.values()) socket.destroy()
    fault = lastLines(said, 1)[0] ?? 'the stream to it ended'
  }

  function hear(text: string): void {
    const value: unknown = JSON.parse(text)
    if (!isObject(value)) return
    const { state, supervisor } = value
    records = parseRecords(
      typeof state === 'string' ? state : undefined,
      typeof supervisor === 'string' ? supervisor : undefined,
    )
    const isFirst = !isOpen
    isOpen = true
    fault = undefined
    if (isFirst) onOpen()
    onChange()
  }

  async function keepOpen(): Promise<void> {
    for (let pauseMs = firstPauseMs; !over.signal.aborted; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
      await once()
      if (isOpen) pauseMs = firstPauseMs
      isOpen = false
      onChange()
      await sleep(pauseMs, undefined, { signal: over.signal }).catch(() => {})
    }
  }
  const running = keepOpen()

  return {
    pod,
    isOpen: () => isOpen,
    records: () => records,
    fault: () => fault,
    async close() {
      over.abort()
      kill()
      await running
    },
  }
}

/** One connection of the pod, as the HTTP server takes it. */
function createConnection(connection: number, to: Writable): Duplex {
  const pieceBytes = 256 * 1024
  return new Duplex({
    read() {},
    write(bytes: Buffer, _, done) {
      let isTaken = true
      for (let at = 0; at < bytes.length; at += pieceBytes)
        isTaken = to.write(encodeFrame('data', connection, bytes.subarray(at, at + pieceBytes)))
      // A stream that ended takes nothing more, and says so to nobody who waits.
      if (isTaken || to.destroyed) done()
      else to.once('drain', () => done())
    },
    final(done) {
      to.write(encodeFrame('end', connection))
      done()
    },
    destroy(error, done) {
      to.write(encodeFrame('end', connection))
      done(error)
    },
  })
}
