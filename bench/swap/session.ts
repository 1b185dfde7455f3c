// One load on one contestant, while it is brought from version to version, or its process is killed.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { versions } from './apps.ts'
import { requestsOf } from './client/counts.ts'
import type { Load, Tally } from './client/protocol.ts'
import type { Client } from './client.ts'
import type { Contestant } from './contestants.ts'
import { readListenQueue } from './listen-queue.ts'

export interface Session {
  /** The whole load, piece by piece; the last is what was in flight at the end. */
  readonly all: readonly Tally[]
  /** From each change to the first new answer. */
  readonly newCodeMs: readonly number[]
  /** Times that a listening queue was full. */
  readonly overflows: number
}

export interface SessionPlan {
  readonly changes: number
  /** How many there have to be in all before it ends; the changes are spread evenly over them. */
  readonly requests: number
}

/** The process was killed: what failed of connections begun after it was dead, and of those that it may have held. */
export interface Killed {
  readonly backMs: number
  readonly refused: number
  readonly lost: number
  readonly held: number
  /** A sentence for each that was refused or lost. */
  readonly why: readonly string[]
}

type LoadOfAny = Omit<Load, 'targets'>

export const fullLoad: LoadOfAny = { busy: 32, calm: 8, freshEveryMs: 5, slow: 4, uploads: 2, streams: 2 }
/** A fresh connection every few milliseconds and nothing else: nobody has to wait for a processor. */
export const idleLoad: LoadOfAny = { busy: 0, calm: 0, freshEveryMs: 5, slow: 0, uploads: 0, streams: 0 }

const warmMs = 1000
export const patienceMs = 30_000
// Longer than what is slow takes, so that a drain is over before the next change.
const pauseMs = 600
const afterKillMs = 1000

export async function runSession(
  client: Client,
  { targets, change, version }: Contestant,
  load: LoadOfAny,
  { changes, requests }: SessionPlan,
): Promise<Session> {
  const overflows = readListenQueue()
  const all: Tally[] = []
  const newCodeMs: number[] = []
  client.start({ ...load, targets })
  await sleep(warmMs)
  all.push(await client.take())
  for (let done = 1; change !== undefined && done <= changes; done++) {
    newCodeMs.push(await measureChange(client, version(), change))
    do {
      await sleep(pauseMs * (1 + Math.random()))
      all.push(await client.take())
    } while (countRequests(all) < (requests * done) / changes)
  }
  all.push(await client.stop())
  return { all, newCodeMs, overflows: readListenQueue() - overflows }
}

/** Under a load that has begun. Milliseconds from the change to the first answer of the other version. */
export async function measureChange(
  client: Client,
  version: string,
  change: NonNullable<Contestant['change']>,
): Promise<number> {
  const other = versions.find((one) => one !== version) ?? version
  const from = Date.now()
  const [at, first] = await Promise.all([
    change(other),
    client.seen((line) => line.version === other && line.atMs >= from, patienceMs),
  ])
  return first.atMs - at
}

/** Kills the process that answers, under load, so many times; each time as if for the first. */
export async function runKills(client: Client, contestant: Contestant, kills: number): Promise<readonly Killed[]> {
  const all: Killed[] = []
  for (let done = 0; done < kills; done++) {
    await contestant.renew()
    client.start({ ...fullLoad, targets: contestant.targets })
    await sleep(warmMs)
    await client.take()
    const pid = client.newestPid()
    const killedAt = Date.now()
    process.kill(pid, 'SIGKILL')
    const death = untilDead(pid)
    const first = await client.seen((line) => line.pid !== pid && line.atMs >= killedAt, patienceMs)
    const diedAt = await death
    await sleep(afterKillMs)
    const taken = [await client.take(), await client.stop()]
    const failed = taken.flatMap((tally) => tally.failed)
    const later = failed.filter(({ openedAtMs }) => openedAtMs > diedAt)
    const refused = later.filter(({ kind }) => kind === 'refused').length
    all.push({
      backMs: first.atMs - killedAt,
      refused,
      lost: later.length - refused,
      held: failed.length - later.length,
      why: later.map(
        ({ work, openedAtMs, message }) =>
          `${work}, begun ${Math.round(openedAtMs - diedAt)} ms after the death: ${message}`,
      ),
    })
  }
  return all
}

/** Until then it may still accept. Milliseconds since the epoch. */
async function untilDead(pid: number): Promise<number> {
  while (/^\d+ \(.*\) [^ZX]/s.test(readStat(pid))) await sleep(1)
  return Date.now()
}

/** proc(5); empty where it has been reaped. */
function readStat(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return ''
  }
}

export function countRequests(tallies: readonly Tally[]): number {
  return tallies.reduce((sum, tally) => sum + requestsOf(tally), 0)
}
