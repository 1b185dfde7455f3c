// The rows of the JSON: what is ours beside each of the others.
import { median } from '@aether/e2e/kit/report'
import { type BenchRow, lessIsBetter, round } from '../bench.ts'
import { failedOf, type Measured, newCode, p99Share, quartiles, sum, tallies, throughputShare } from './measured.ts'
import type { Pair } from './pairs.ts'
import { countRequests, type Session } from './session.ts'

/** `totals` has what no comparison says: how much the figures rest on. */
export function benchRows(all: readonly Measured[]) {
  const totals = all
    .filter(({ full }) => full.length > 0)
    .map(({ app, contestant, full, idle, kills }) => {
      const counted = tallies([...full, ...idle])
      return {
        case: app,
        contestant,
        swaps: newCode([...full, ...idle]).length,
        requests: countRequests(counted),
        failed: failedOf([...full, ...idle]),
        slowConnects: sum(counted.map(({ slowConnects }) => slowConnects)),
        kills: kills.length,
        lost: sum(kills.map(({ refused, lost }) => refused + lost)),
      }
    })
  const rows = all
    .filter(({ isOurs }) => isOurs)
    .flatMap((own) => all.filter((one) => one.app === own.app && !one.isOurs).flatMap((peer) => compare(own, peer)))
  return { totals, rows }
}

/** Cold is the rule, and has the app's name alone. */
function caseOf({ app, contestant }: Measured): string {
  return contestant === 'cold' ? app : `${app} ${contestant}`
}

function compare(own: Measured, peer: Measured): readonly BenchRow[] {
  const names = { case: caseOf(own), peer: peer.contestant }
  const rows: BenchRow[] = []
  if (peer.full.length === 0) {
    rows.push(...compareWindows(own.pairs, names))
    if (own.memory.length > 0 && peer.memory.length > 0)
      rows.push(lessIsBetter({ ...names, measure: 'rss', ours: rss(own), theirs: rss(peer), unit: 'MB' }))
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

/** The ratio is the median of the pairs' own, which says more than that of the medians. */
function compareWindows(
  pairs: readonly Pair[],
  names: { readonly case: string; readonly peer: string },
): readonly BenchRow[] {
  if (pairs.length === 0) return []
  const medianOf = (of: (pair: Pair) => number, digits: number) => round(median(pairs.map(of)), digits)
  const ratios = (of: (pair: Pair) => number) => {
    const [low, ratio, high] = quartiles(pairs.map(of))
    return { ratio: round(ratio, 2), interval: [round(low, 2), round(high, 2)] as const }
  }
  return [
    {
      ...names,
      measure: 'throughput',
      ours: medianOf(({ ours }) => ours.requestsPerSecond, 0),
      theirs: medianOf(({ direct }) => direct.requestsPerSecond, 0),
      unit: 'req/s',
      ...ratios(throughputShare),
    },
    {
      ...names,
      measure: 'p99',
      ours: medianOf(({ ours }) => ours.p99Ms, 2),
      theirs: medianOf(({ direct }) => direct.p99Ms, 2),
      unit: 'ms',
      ...ratios((pair) => 1 / p99Share(pair)),
    },
  ]
}

function rss({ memory }: Measured): number {
  return round(sum(memory.map(({ rssMb }) => rssMb)), 1)
}
