// From the changes to figures: seconds to the first new answer, and requests that failed meanwhile.
import { median, type Row } from '@aether/e2e/kit/report'
import type { TargetMeasured } from '@aether/e2e/kit/tools/protocol'
import { type BenchRow, lessIsBetter, round } from '../bench.ts'
import { peer } from './contestants.ts'

export interface Summary {
  readonly name: string
  readonly changes: number
  readonly p50: number
  readonly max: number
  readonly failed: number
  readonly requests: number
}

export function summarise(name: string, results: readonly TargetMeasured[]): Summary {
  const seconds = results.map(({ firstNewMs }) => (firstNewMs ?? Number.NaN) / 1000)
  const failed = results.flatMap((one) => Object.values(one.failed))
  return {
    name,
    changes: results.length,
    p50: round(median(seconds), 3),
    max: round(Math.max(...seconds), 3),
    failed: sum(failed),
    requests: sum(results.map(({ requests }) => requests)),
  }
}

export function tableRow({ name, changes, p50, max, failed, requests }: Summary): Row {
  return { case: name, changes, p50_s: p50.toFixed(3), max_s: max.toFixed(3), failed, requests }
}

/** `theirs` is the peer's summary of the same way in: by the pod's address, or through the Service. */
export function benchRows(ours: Summary, theirs: Summary): readonly BenchRow[] {
  const names = { case: ours.name, peer }
  const each = ({ failed, changes }: Summary) => round(failed / changes, 2)
  return [
    lessIsBetter({ ...names, measure: 'p50', ours: ours.p50, theirs: theirs.p50, unit: 's' }),
    lessIsBetter({ ...names, measure: 'max', ours: ours.max, theirs: theirs.max, unit: 's' }),
    lessIsBetter({ ...names, measure: 'failed', ours: each(ours), theirs: each(theirs), unit: 'requests' }),
  ]
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
