// The tables for people.
import { formatRows, median, type Row } from '@aether/e2e/kit/report'
import type { FaultKind } from './client/fault.ts'
import { failedOf, type Measured, newCode, p99Share, quartiles, sum, tallies, throughputShare } from './measured.ts'
import { countRequests, type Session } from './session.ts'

/** The others say more in their message. */
const speaking: readonly FaultKind[] = ['refused', 'reset', 'truncated', 'timeout']

export function formatTables(all: readonly Measured[]): readonly string[] {
  const changed = all.filter(({ full }) => full.length > 0)
  const paired = all.filter(({ pairs }) => pairs.length > 0)
  const killed = all.filter(({ kills }) => kills.length > 0)
  const started = all.filter((one) => one.isOurs && one.starts.length > 0)
  return [
    ...(changed.length > 0 ? ['under load', ...formatRows(changed.map(loadRow))] : []),
    ...changed.flatMap(failureLines),
    ...(paired.length > 0 ? ['beside the app alone, no changes', ...formatRows(paired.map(pairRow))] : []),
    ...(changed.length > 0 ? ['idle: a fresh connection every 5 ms', ...formatRows(changed.map(idleRow))] : []),
    ...(killed.length > 0 ? ['killed by SIGKILL under load', ...formatRows(killed.map(killRow))] : []),
    ...(started.length > 0
      ? ['release on disk -> first answer, idle', ...formatRows(started.map((one) => startRow(one, all)))]
      : []),
    ...(changed.length > 0 ? ['memory, MB', ...formatRows(all.flatMap(memoryRows))] : []),
  ]
}

function pairRow({ app, contestant, pairs }: Measured): Row {
  const spread = (values: readonly number[]) => {
    const [low, middle, high] = quartiles(values).map((value) => value.toFixed(2))
    return `${middle} (${low}-${high})`
  }
  return {
    app,
    contestant,
    pairs: pairs.length,
    req_s: median(pairs.map(({ ours }) => ours.requestsPerSecond)).toFixed(),
    direct_req_s: median(pairs.map(({ direct }) => direct.requestsPerSecond)).toFixed(),
    share: spread(pairs.map(throughputShare)),
    p99_ms: median(pairs.map(({ ours }) => ours.p99Ms)).toFixed(2),
    direct_p99_ms: median(pairs.map(({ direct }) => direct.p99Ms)).toFixed(2),
    p99_share: spread(pairs.map(p99Share)),
  }
}

function loadRow(one: Measured): Row {
  const all = tallies(one.full)
  const times = newCode(one.full)
  return {
    app: one.app,
    contestant: one.contestant,
    swaps: times.length,
    p50_ms: median(times).toFixed(),
    max_ms: Math.max(...times).toFixed(),
    requests: countRequests(all),
    failed: failedOf(one.full),
    req_s: rate(one.full).toFixed(),
    p99_ms: median(all.filter(({ p99Ms }) => p99Ms > 0).map(({ p99Ms }) => p99Ms)).toFixed(2),
    longest_ms: Math.max(...all.map(({ longestMs }) => longestMs)).toFixed(),
    slow_connects: sum(all.map(({ slowConnects }) => slowConnects)),
    longest_connect_ms: Math.max(...all.map(({ longestConnectMs }) => longestConnectMs)).toFixed(),
    overflows: sum(one.full.map(({ overflows }) => overflows)),
    closed_idle: sum(all.map(({ closedIdle }) => closedIdle)),
  }
}

/** What failed, by the work and the reason; at most a dozen of them. */
function failureLines(one: Measured): readonly string[] {
  const counts = new Map<string, number>()
  for (const { work, kind, message } of tallies(one.full).flatMap(({ failed }) => failed)) {
    const name = speaking.includes(kind) ? `${work} ${kind}` : `${work} ${kind} (${message})`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  if (counts.size === 0) return []
  const most = [...counts].toSorted(([, a], [, b]) => b - a).slice(0, 12)
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
    starts: starts.length,
    min_ms: Math.min(...starts).toFixed(),
    p50_ms: median(starts).toFixed(),
    bare_min_ms: bare.length === 0 ? '' : Math.min(...bare).toFixed(),
    bare_p50_ms: bare.length === 0 ? '' : median(bare).toFixed(),
    ratio: bare.length === 0 ? '' : (median(starts) / median(bare)).toFixed(2),
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

/** Requests per second, changes and all. */
function rate(sessions: readonly Session[]): number {
  const running = sessions.flatMap(({ all }) => all.slice(0, -1))
  return countRequests(running) / sum(running.map(({ seconds }) => seconds))
}
