// The bench's end of the client: starts its process, tells it what to ask, and waits for answers nobody had before.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { type FromClient, isFromClient, type Load, type Seen, type Tally, type ToClient } from './client/protocol.ts'

export interface Client {
  start(load: Load): void
  /** The first line of this form that no answer had before, since the load was started. Rejects after `limitMs`. */
  seen(is: (line: AnswerLine) => boolean, limitMs: number): Promise<AnswerLine>
  /** The process that the newest answers came from. */
  newestPid(): number
  /** What was counted since the last one. */
  take(): Promise<Tally>
  /** Waits for what is in flight. */
  stop(): Promise<Tally>
  end(): Promise<void>
}

interface AnswerLine {
  readonly version: string
  readonly pid: number
  readonly atMs: number
}

export function startClient(): Client {
  const child = fork(join(import.meta.dirname, 'client/main.ts'), [], {
    env: { PATH: process.env.PATH },
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const kill = () => child.kill('SIGKILL')
  process.prependOnceListener('exit', kill)
  const ended = once(child, 'exit').then(() => process.off('exit', kill))
  let lines: Seen[] = []
  const watching = new Set<() => void>()
  child.on('message', (message: unknown) => {
    if (!isFromClient(message)) throw new Error('the client said something else than it can')
    if (message.kind !== 'seen') return
    lines.push(message.seen)
    for (const look of watching) look()
  })

  return {
    start(load) {
      lines = []
      tell(child, { kind: 'start', load })
    },
    seen(is, limitMs) {
      return new Promise((resolve, reject) => {
        const end = () => {
          clearTimeout(timer)
          watching.delete(look)
        }
        const look = () => {
          const found = lines.map(readLine).find(is)
          if (found === undefined) return
          end()
          resolve(found)
        }
        const timer = setTimeout(() => {
          end()
          reject(new Error(`no such answer came in ${limitMs} ms; the last new one was ${lines.at(-1)?.answer}`))
        }, limitMs)
        watching.add(look)
        look()
      })
    },
    newestPid() {
      const newest = lines.at(-1)
      if (newest === undefined) throw new Error('nobody has answered yet')
      return readLine(newest).pid
    },
    take: () => askTally(child, 'take'),
    stop: () => askTally(child, 'stop'),
    async end() {
      child.disconnect()
      await ended
    },
  }
}

function tell(child: ChildProcess, message: ToClient): void {
  child.send(message)
}

function askTally(child: ChildProcess, kind: 'take' | 'stop'): Promise<Tally> {
  return new Promise((resolve, reject) => {
    const took = (message: unknown) => {
      if (!isTally(message)) return
      child.off('message', took)
      child.off('exit', died)
      resolve(message.tally)
    }
    const died = () => reject(new Error('the client ended by itself'))
    child.on('message', took)
    child.once('exit', died)
    tell(child, { kind })
  })
}

function isTally(message: unknown): message is Extract<FromClient, { kind: 'tally' }> {
  return isFromClient(message) && message.kind === 'tally'
}

function readLine({ answer, atMs }: Seen): AnswerLine {
  const [, version = '', pid = ''] = answer.split(' ')
  return { version, pid: Number(pid), atMs }
}
