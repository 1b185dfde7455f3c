// The load: connections that ask until they are stopped, each kind of work in its way, and all of them strict.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, openConnection } from './connection.ts'
import type { Counts } from './counts.ts'
import { Fault, toFault } from './fault.ts'
import type { Load, Target, Work } from './protocol.ts'

/** Resolves when what is in flight has been answered, or has failed. */
export type StopLoad = () => Promise<void>

/** After a failure, so that a server that is away is not asked a hundred thousand times. */
const retryMs = 5
const calmMs = 200
const slowMs = 300
const streamMs = 400
const uploadBytes = 256 * 1024
const uploadParts = 8
const uploadMs = 200
/** Connections of `fresh` at the same time, should nobody answer. */
const maxFresh = 1000

const get = (path: string, more = '') => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: app\r\n${more}\r\n`)
const ordinary = get('/')
const only = get('/', 'Connection: close\r\n')
const slow = get(`/slow?ms=${slowMs}`)
const stream = get(`/stream?ms=${streamMs}`)
const uploadHead = Buffer.from(
  `POST /upload HTTP/1.1\r\nHost: app\r\nContent-Type: application/octet-stream\r\nContent-Length: ${uploadBytes}\r\n\r\n`,
)
const uploadPart = Buffer.alloc(uploadBytes / uploadParts, 'x')

export function startLoad(load: Load, counts: Counts): StopLoad {
  const stopping = new AbortController()
  const running: Promise<void>[] = []
  let dealt = 0
  const deal = () => {
    const target = load.targets[dealt++ % load.targets.length]
    if (target === undefined) throw new Error('a load needs a target')
    return target
  }
  const repeat = (connections: number, work: Work, exchange: Exchange, idleMs = 0) => {
    for (let at = 0; at < connections; at++)
      running.push(keepAsking(deal(), work, exchange, idleMs, counts, stopping.signal))
  }
  repeat(load.busy, 'busy', askFor(ordinary))
  repeat(load.calm, 'calm', askFor(ordinary), calmMs)
  repeat(load.slow, 'slow', askFor(slow))
  repeat(load.uploads, 'upload', upload)
  repeat(load.streams, 'stream', askFor(stream))
  if (load.freshEveryMs > 0) running.push(askFresh(deal, load.freshEveryMs, counts, stopping.signal))
  return async () => {
    stopping.abort()
    await Promise.all(running)
  }
}

/** One request and its answer's line. Rejects with a Fault. */
type Exchange = (connection: Connection) => Promise<{ readonly line: string; readonly isLast: boolean }>

async function keepAsking(
  target: Target,
  work: Work,
  exchange: Exchange,
  idleMs: number,
  counts: Counts,
  stopping: AbortSignal,
): Promise<void> {
  let connection: Connection | undefined
  while (!stopping.aborted) {
    if (connection !== undefined && !connection.isOpen()) {
      counts.closedIdle()
      connection = undefined
    }
    let openedAt = connection?.openedAt ?? performance.now()
    try {
      connection ??= await open(target, counts)
      openedAt = connection.openedAt
      const askedAt = performance.now()
      const { line, isLast } = await exchange(connection)
      counts.answered(work, line, performance.now() - askedAt)
      if (isLast) {
        connection.close()
        connection = undefined
      }
      if (idleMs > 0) await sleep(Math.random() * idleMs)
    } catch (error) {
      counts.failed(work, toFault(error), openedAt)
      connection?.close()
      connection = undefined
      await sleep(retryMs)
    }
  }
  connection?.close()
}

async function askFresh(deal: () => Target, everyMs: number, counts: Counts, stopping: AbortSignal): Promise<void> {
  const asked = new Set<Promise<void>>()
  const timer = setInterval(() => {
    if (asked.size >= maxFresh) return
    const one = askOnce(deal(), counts).then(() => void asked.delete(one))
    asked.add(one)
  }, everyMs)
  await new Promise((resolve) => stopping.addEventListener('abort', resolve, { once: true }))
  clearInterval(timer)
  await Promise.all(asked)
}

async function askOnce(target: Target, counts: Counts): Promise<void> {
  let connection: Connection | undefined
  const openedAt = performance.now()
  try {
    connection = await open(target, counts)
    const { line } = await askFor(only)(connection)
    counts.answered('fresh', line, performance.now() - openedAt)
  } catch (error) {
    counts.failed('fresh', toFault(error), openedAt)
  } finally {
    connection?.close()
  }
}

async function open(target: Target, counts: Counts): Promise<Connection> {
  const connection = await openConnection(target)
  counts.connected(connection.connectMs)
  return connection
}

function askFor(request: Buffer): Exchange {
  return async (connection) => {
    const { status, body, isLast } = await connection.ask(request)
    return { line: lineOf(status, body).line, isLast }
  }
}

async function upload(connection: Connection) {
  connection.send(uploadHead)
  for (let part = 1; part < uploadParts; part++) {
    connection.send(uploadPart)
    await sleep(uploadMs / uploadParts)
  }
  const { status, body, isLast } = await connection.ask(uploadPart)
  const { line, bytes } = lineOf(status, body)
  if (bytes !== uploadBytes) throw new Fault('truncated', `the app took ${bytes} bytes of ${uploadBytes}`)
  return { line, isLast }
}

/** `NAME VERSION PID`, and behind it the size of an upload: the last line of each answer. */
function lineOf(status: number, body: string): { readonly line: string; readonly bytes: number } {
  if (status < 200 || status > 299) throw new Fault('status', `status ${status}`)
  const found = /(?:^|\n)(\S+ \S+ \d+)(?: (\d+))?\n$/.exec(body)
  if (found?.[1] === undefined) throw new Fault('malformed', `not an answer's line: ${JSON.stringify(body.slice(-80))}`)
  return { line: found[1], bytes: Number(found[2] ?? 0) }
}
