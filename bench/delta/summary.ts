// From the runs of a case to the rows of the table and of the JSON.
import { median } from '@aether/e2e/kit/report'
import { type BenchRow, lessIsBetter, round } from '../bench.ts'

/** All runs of one contestant in one case; `ours` is the tree. */
export interface Figures {
  readonly case: string
  readonly contestant: string
  readonly seconds: readonly number[]
  /** Medians. */
  readonly markerMs: number | undefined
  /** Over the wire. */
  readonly bytes: number | undefined
  readonly standbySeconds: number | undefined
  /** The most in any run. */
  readonly rssMb: number
}

export function tableOf(all: readonly Figures[]): readonly Record<string, string>[] {
  return all.map((one) => {
    const own = all.find((other) => other.case === one.case && other.contestant === 'ours')
    const factor = own === undefined || own === one ? '' : (median(one.seconds) / median(own.seconds)).toFixed(1)
    return {
      case: one.case,
      contestant: one.contestant,
      median_s: median(one.seconds).toFixed(4),
      min_s: Math.min(...one.seconds).toFixed(4),
      max_s: Math.max(...one.seconds).toFixed(4),
      bytes: one.bytes?.toFixed(0) ?? '',
      rss_mb: one.rssMb.toFixed(1),
      marker_ms: one.markerMs?.toFixed(0) ?? '',
      standby_cpu_s: one.standbySeconds?.toFixed(2) ?? '',
      to_ours: factor,
    }
  })
}

/** From how many percent of the files on the whole pack takes less time than the delta, between the shares that were measured. */
export function fullFrom(letter: string, shares: Readonly<Record<string, number>>, all: readonly Figures[]): string {
  const time = (name: string) => {
    const own = all.find((one) => one.case === `${letter} ${name}` && one.contestant === 'ours')
    return own === undefined ? Number.NaN : median(own.seconds)
  }
  const whole = time('first arrival')
  const points = Object.entries(shares).map(([name, share]) => ({ share, seconds: time(name) }))
  const after = points.findIndex(({ seconds }) => seconds > whole)
  const [low, high] = [points[after - 1], points[after]]
  if (high === undefined || low === undefined)
    return `${letter}: the delta takes no longer than the full pack, whatever changed`
  const share = low.share + ((high.share - low.share) * (whole - low.seconds)) / (high.seconds - low.seconds)
  return `${letter}: from ${Math.round(share * 100)} percent of the files on the full pack takes less time than the delta`
}

export function deltaRows(all: readonly Figures[]): readonly BenchRow[] {
  const rows = all
    .filter(({ contestant }) => contestant !== 'ours')
    .flatMap((peer) => {
      const own = all.find((one) => one.case === peer.case && one.contestant === 'ours')
      return own === undefined ? [] : compare(own, peer)
    })
  const [small, large] = ['b one file', 'c one file'].map((name) =>
    all.find((one) => one.case === name && one.contestant === 'ours'),
  )
  if (small === undefined || large === undefined) return rows
  const growth = { ours: round(median(large.seconds), 5), theirs: round(median(small.seconds), 5) }
  return [...rows, lessIsBetter({ case: 'c one file', measure: 'time', peer: 'b one file', unit: 's', ...growth })]
}

function compare(own: Figures, peer: Figures): readonly BenchRow[] {
  const names = { case: own.case, peer: peer.contestant }
  const times = { ours: round(median(own.seconds), 5), theirs: round(median(peer.seconds), 5) }
  const rss = { ours: round(own.rssMb, 1), theirs: round(peer.rssMb, 1) }
  const rows = [
    lessIsBetter({ ...names, measure: 'time', unit: 's', ...times }),
    lessIsBetter({ ...names, measure: 'rss', unit: 'MB', ...rss }),
  ]
  if (own.bytes === undefined || peer.bytes === undefined) return rows
  return [...rows, lessIsBetter({ ...names, measure: 'bytes', unit: 'bytes', ours: own.bytes, theirs: peer.bytes })]
}
