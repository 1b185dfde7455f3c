// From the runs of a case to the rows of the table and of the JSON.
import { formatRows, median } from '@aether/e2e/kit/report'
import { type BenchRow, lessIsBetter, round } from '../bench.ts'

/** All runs of one contestant in one case. */
export interface Runs {
  readonly case: string
  /** Files of the case. */
  readonly files: number
  /** `warm` and `fresh` are ours. */
  readonly contestant: string
  readonly seconds: readonly number[]
  /** The most in any run. */
  readonly rssMb: number
  /** The longest that its event loop let a question wait; `undefined` where it has none or was not asked. */
  readonly delayMs: number | undefined
  /** Medians by the fetcher's own clock. */
  readonly markerMs: number | undefined
}

const ours = ['warm', 'fresh'] as const

/** How often as fast we are, warm and fresh, stands in the line of each peer. */
export function formatTable(all: readonly Runs[]): readonly string[] {
  return formatRows(
    all.map((runs) => {
      const factor = (name: string) => {
        const own = all.find((one) => one.case === runs.case && one.contestant === name)
        return own === undefined || own === runs ? '' : (median(runs.seconds) / median(own.seconds)).toFixed(2)
      }
      return {
        case: runs.case,
        contestant: runs.contestant,
        median_s: median(runs.seconds).toFixed(3),
        min_s: Math.min(...runs.seconds).toFixed(3),
        max_s: Math.max(...runs.seconds).toFixed(3),
        us_a_file: ((median(runs.seconds) * 1e6) / runs.files).toFixed(0),
        rss_mb: runs.rssMb.toFixed(1),
        delay_ms: runs.delayMs?.toFixed(0) ?? '',
        marker_ms: runs.markerMs?.toFixed(0) ?? '',
        to_warm: factor('warm'),
        to_fresh: factor('fresh'),
      }
    }),
  )
}

export function benchRows(all: readonly Runs[]): readonly BenchRow[] {
  const peers = all.filter(({ contestant }) => !ours.some((name) => name === contestant))
  return peers.flatMap((peer) =>
    all
      .filter((one) => one.case === peer.case && ours.some((name) => name === one.contestant))
      .flatMap((own) => compare(own, peer)),
  )
}

function compare(own: Runs, peer: Runs): readonly BenchRow[] {
  const names = { case: `${own.case} ${own.contestant}`, peer: peer.contestant }
  const time = { ...names, measure: 'time', unit: 's' }
  const rows = [
    lessIsBetter({ ...time, ours: round(median(own.seconds), 4), theirs: round(median(peer.seconds), 4) }),
    lessIsBetter({ ...names, measure: 'rss', unit: 'MB', ours: round(own.rssMb, 1), theirs: round(peer.rssMb, 1) }),
  ]
  if (own.delayMs === undefined || peer.delayMs === undefined) return rows
  const delay = { ours: round(own.delayMs, 1), theirs: round(peer.delayMs, 1) }
  return [...rows, lessIsBetter({ ...names, measure: 'loop-delay', unit: 'ms', ...delay })]
}
