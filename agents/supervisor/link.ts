// The pipe to the preload in the app's process: orders go down, facts come up. The app could write there too, so a line is
// read as input: bounded, and what has no known shape is passed over.
import type { Duplex } from 'node:stream'
import { isObject } from '@aether/contract/json'
import { isSame, parseSocketKey, type SocketKey } from './held-sockets.ts'

const kinds = ['http', 'https', 'h2', 'h2c', 'tls', 'tcp'] as const
export type ServerKind = (typeof kinds)[number]

export interface Listening extends SocketKey {
  readonly kind: ServerKind
  /** Port on loopback by which the process can be asked before it accepts on the shared socket. */
  readonly door: number | undefined
}

/** What is known of the process so far. */
export interface Facts {
  /** The preload runs in it. */
  readonly attached: boolean
  /** It is booted and waits to become the app. */
  readonly isSpare: boolean
  /** Of Node, those that a spare after it is to have (preload/warm-up.cjs). */
  readonly modules: readonly string[]
  /** `used`, or why the release's compile cache is not; undefined where it has none. */
  readonly compileCache: string | undefined
  readonly listening: readonly Listening[]
  /** Why another process cannot stand beside this one. */
  readonly unheld: string | undefined
  /** That, and it needs a port for itself that is held. */
  readonly conflict: boolean
  readonly went: boolean
  readonly drained: boolean
  /** performance.now() of its first answer after it was let accept. */
  readonly answeredAt: number | undefined
  /** Of the process and those that it forked, when their drain began. */
  readonly inFlight: number
}

export type Order =
  | { readonly do: 'go' | 'hand' | 'forget' | 'lame' }
  | {
      readonly do: 'become'
      readonly cwd: string
      readonly entry: string
      readonly args: readonly string[]
      readonly env: Readonly<Record<string, string>>
      /** As ps is to show it. */
      readonly command: string
      readonly compileCache?: string
    }
  | { readonly do: 'drain'; readonly quietMs: number; readonly webSocketMs: number }

export interface Link {
  readonly facts: () => Facts
  /** Resolves when the next fact is known. */
  changed(): Promise<void>
  order(order: Order): void
}

const longestLine = 16 * 1024
const mostListening = 100
const mostModules = 100

/** `onAgain` is told of a socket that the process took and may want once more. */
export function createLink(pipe: Duplex, onAgain: (key: SocketKey) => void = () => {}): Link {
  let facts: Facts = {
    attached: false,
    isSpare: false,
    modules: [],
    compileCache: undefined,
    listening: [],
    unheld: undefined,
    conflict: false,
    went: false,
    drained: false,
    answeredAt: undefined,
    inFlight: 0,
  }
  let rest = ''
  const waiting: (() => void)[] = []

  function learn(line: string): void {
    const said = parseLine(line)
    if (said === undefined) return
    const listening = said.say === 'listening' ? parseListening(said) : undefined
    const again = said.say === 'again' ? parseSocketKey(said) : undefined
    if (again !== undefined) onAgain(again)
    else if (said.say === 'hello') facts = { ...facts, attached: true }
    else if (said.say === 'compile cache' && typeof said.how === 'string')
      facts = { ...facts, compileCache: said.how.slice(0, 300) }
    else if (said.say === 'spare') facts = { ...facts, isSpare: true }
    else if (said.say === 'loaded') facts = { ...facts, modules: parseModules(said.modules) }
    else if (said.say === 'went') facts = { ...facts, went: true }
    else if (said.say === 'answered') facts = { ...facts, answeredAt: facts.answeredAt ?? performance.now() }
    else if (said.say === 'drained') facts = { ...facts, drained: true }
    else if (said.say === 'draining' && typeof said.inFlight === 'number')
      facts = { ...facts, inFlight: facts.inFlight + said.inFlight }
    else if (said.say === 'unheld' && typeof said.why === 'string')
      facts = {
        ...facts,
        unheld: facts.unheld ?? said.why.slice(0, 300),
        conflict: facts.conflict || said.isConflict === true,
      }
    else if (
      listening !== undefined &&
      facts.listening.length < mostListening &&
      !facts.listening.some((one) => isSame(one, listening))
    )
      facts = { ...facts, listening: [...facts.listening, listening] }
    for (const wake of waiting.splice(0)) wake()
  }
  pipe.setEncoding('utf8')
  pipe.on('data', (piece: string) => {
    const lines = (rest + piece).split('\n')
    rest = lines.pop()?.slice(0, longestLine) ?? ''
    for (const line of lines) learn(line)
  })
  // The process ended; its exit is told elsewhere.
  pipe.on('error', () => undefined)
  return {
    facts: () => facts,
    changed: () => new Promise((resolve) => waiting.push(resolve)),
    order(order) {
      if (pipe.writable) pipe.write(`${JSON.stringify(order)}\n`)
    },
  }
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function parseModules(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return []
  return value.filter((one) => typeof one === 'string').slice(0, mostModules)
}

function parseListening(said: Record<string, unknown>): Listening | undefined {
  const key = parseSocketKey(said)
  const kind = kinds.find((one) => one === said.kind)
  if (key === undefined || kind === undefined) return undefined
  return { ...key, kind, door: typeof said.door === 'number' ? said.door : undefined }
}
