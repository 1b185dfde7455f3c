// From what was measured to the tables for people and the rows of the JSON.
import { formatRows, median, type Row } from '@aether/e2e/kit/report'
import { type BenchRow, lessIsBetter, moreIsBetter, round } from '../bench.ts'
import { requestsOf } from './client/counts.ts'
import type { FaultKind } from './client/fault.ts'
import type { Tally } from './client/protocol.ts'
import type { Memory } from './memory.ts'
import { countRequests, type Killed, type Session } from './session.ts'

/** All of one contestant with one app. */
export interface Measured {
  readonly app: string
  /** `cold` and `spare` are ours. */
  readonly contestant: string
  readonly full: readonly Session[]
  readonly idle: readonly Session[]
  readonly kills: readonly Killed[]
  /** Of ours from the flip to the first answer; of `direct` from its spawn. */
  readonly starts: readonly number[]
  readonly memory: readonly Memory[]
}

const isOurs = ({ contestant }: Measured) => contestant === 'cold' || contestant === 'spare'

export function formatTables(all: readonly Measured[]): readonly string[] {
  const killed = all.filter(({ kills }) => kills.length > 0)
  const started = all.filter((one) => isOurs(one) && one.starts.length > 0)
  return [
    'under load',
    ...formatRows(all.map(loadRow)),
    ...all.flatMap(failureLines),
    'idle: a fresh connection every 5 ms',
    ...formatRows(all.filter(({ idle }) => idle.length > 0).map(idleRow)),
    ...(killed.length > 0 ? ['killed by SIGKILL under load', ...formatRows(killed.map(killRow))] : []),
    ...(started.length > 0
      ? ['release on disk -> first answer, idle', ...formatRows(started.map((one) => startRow(one, all)))]
      : []),
    'memory, MB',
    ...formatRows(all.flatMap(memoryRows)),
  ]
}

/** `totals` has what no comparison says: how much the figures rest on. */
export function benchRows(all: readonly Measured[]) {
  const totals = all.map((one) => ({
    case: one.app,
    contestant: one.contestant,
    swaps: newCode(one.full).length,
    requests: countRequests(tallies(one.full)),
    failed: failedOf(one.full),
    slowConnects: sum(tallies(one.full).map((tally) => tally.slowConnects)),
    kills: one.kills.length,
    lost: sum(one.kills.map(({ refused, lost }) => refused + lost)),
  }))
  const rows = all
    .filter(isOurs)
    .flatMap((own) => all.filter((one) => one.app === own.app && !isOurs(one)).flatMap((peer) => compare(own, peer)))
  return { totals, rows }
}

function compare(own: Measured, peer: Measured): readonly BenchRow[] {
  const names = { case: `${own.app} ${own.contestant}`, peer: peer.contestant }
  const rows: BenchRow[] = []
  if (peer.contestant === 'direct') {
    rows.push(
      moreIsBetter({ ...names, measure: 'throughput', ours: throughput(own), theirs: throughput(peer), unit: 'req/s' }),
      lessIsBetter({ ...names, measure: 'p99', ours: p99(own), theirs: p99(peer), unit: 'ms' }),
      lessIsBetter({ ...names, measure: 'rss', ours: rss(own), theirs: rss(peer), unit: 'MB' }),
    )
    const start = { measure: 'start', unit: 'ms', ours: median(own.starts), theirs: median(peer.starts) }
    if (own.starts.length > 0 && peer.starts.length > 0) rows.push(lessIsBetter({ ...names, ...start }))
    return rows
  }
  for (const [suffix, mine, theirs] of [
    ['', own.full, peer.full],
    [' idle', own.idle, peer.idle],
  ] as const) {
    const place = { ...names, case: `${names.case}${suffix}` }
    const [ours, others] = [newCode(mine), newCode(theirs)]
    const each = (sessions: readonly Session[]) => round(failedOf(sessions) / newCode(sessions).length, 2)
    rows.push(
      lessIsBetter({ ...place, measure: 'new-code', ours: median(ours), theirs: median(others), unit: 'ms' }),
      lessIsBetter({
        ...place,
        measure: 'new-code max',
        ours: Math.max(...ours),
        theirs: Math.max(...others),
        unit: 'ms',
      }),
      lessIsBetter({ ...place, measure: 'failed', ours: each(mine), theirs: each(theirs), unit: 'requests' }),
    )
  }
  if (own.kills.length === 0 || peer.kills.length === 0) return rows
  const place = { ...names, case: `${names.case} kill` }
  const back = ({ kills }: Measured) => median(kills.map(({ backMs }) => backMs))
  const lost = ({ kills }: Measured) => round(sum(kills.map((one) => one.refused + one.lost)) / kills.length, 2)
  rows.push(
    lessIsBetter({ ...place, measure: 'back', ours: back(own), theirs: back(peer), unit: 'ms' }),
    lessIsBetter({ ...place, measure: 'lost', ours: lost(own), theirs: lost(peer), unit: 'connections' }),
  )
  return rows
}

function loadRow(one: Measured): Row {
  const all = tallies(one.full)
  const times = newCode(one.full)
  return {
    app: one.app,
    contestant: one.contestant,
    swaps: times.length,
    p50_ms: times.length === 0 ? '' : median(times).toFixed(),
    max_ms: times.length === 0 ? '' : Math.max(...times).toFixed(),
    requests: countRequests(all),
    failed: failedOf(one.full),
    req_s: throughput(one).toFixed(),
    req_s_swapping: (countRequests(all) / sum(all.map(({ seconds }) => seconds))).toFixed(),
    lat_p50_ms: median(one.full.map(({ steady }) => steady.p50Ms)).toFixed(2),
    lat_p99_ms: p99(one).toFixed(2),
    longest_ms: Math.max(...all.map(({ longestMs }) => longestMs)).toFixed(),
    slow_connects: sum(all.map(({ slowConnects }) => slowConnects)),
    longest_connect_ms: Math.max(...all.map(({ longestConnectMs }) => longestConnectMs)).toFixed(),
    overflows: sum(one.full.map(({ overflows }) => overflows)),
    closed_idle: sum(all.map(({ closedIdle }) => closedIdle)),
  }
}

/** What failed, by the work and the reason. */
function failureLines(one: Measured): readonly string[] {
  const counts = new Map<string, number>()
  for (const { work, kind } of tallies(one.full).flatMap(({ failed }) => failed)) {
    const name: `${string} ${FaultKind}` = `${work} ${kind}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  if (counts.size === 0) return []
  const most = [...counts].toSorted(([, a], [, b]) => b - a)
  return [`failed, ${one.app} ${one.contestant}: ${most.map(([name, count]) => `${name} ${count}`).join(', ')}`]
}

function idleRow(one: Measured): Row {
  const times = newCode(one.idle)
  return {
    app: one.app,
    contestant: one.contestant,
    swaps: times.length,
    p50_ms: median(times).toFixed(),
    max_ms: Math.max(...times).toFixed(),
    requests: countRequests(tallies(one.idle)),
    failed: failedOf(one.idle),
  }
}

function killRow({ app, contestant, kills }: Measured): Row {
  const times = kills.map(({ backMs }) => backMs)
  return {
    app,
    contestant,
    kills: kills.length,
    p50_ms: median(times).toFixed(),
    max_ms: Math.max(...times).toFixed(),
    refused: sum(kills.map(({ refused }) => refused)),
    lost: sum(kills.map(({ lost }) => lost)),
    held: sum(kills.map(({ held }) => held)),
  }
}

function startRow({ app, contestant, starts }: Measured, all: readonly Measured[]): Row {
  const bare = all.find((one) => one.app === app && one.contestant === 'direct')?.starts ?? []
  return {
    app,
    contestant,
    p50_ms: median(starts).toFixed(),
    bare_p50_ms: median(bare).toFixed(),
    ratio: (median(starts) / median(bare)).toFixed(2),
  }
}

function memoryRows({ app, contestant, memory }: Measured): readonly Row[] {
  return memory.map(({ role, rssMb, pssMb, anonMb }) => ({
    app,
    contestant,
    process: role,
    rss: rssMb.toFixed(1),
    pss: pssMb.toFixed(1),
    anon: anonMb.toFixed(1),
  }))
}

function tallies(sessions: readonly Session[]): readonly Tally[] {
  return sessions.flatMap(({ all }) => all)
}

function newCode(sessions: readonly Session[]): readonly number[] {
  return sessions.flatMap(({ newCodeMs }) => newCodeMs)
}

function failedOf(sessions: readonly Session[]): number {
  return sum(tallies(sessions).map(({ failedCount }) => failedCount))
}

/** Before the changes. */
function throughput({ full }: Measured): number {
  return round(median(full.map(({ steady }) => requestsOf(steady) / steady.seconds)), 0)
}

function p99({ full }: Measured): number {
  return round(median(full.map(({ steady }) => steady.p99Ms)), 2)
}

function rss({ memory }: Measured): number {
  return round(sum(memory.map(({ rssMb }) => rssMb)), 1)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
