// What a save became, as one line and as one object.

import type { Failure } from '../basics/failure.ts'
import type { Colours } from '../basics/output.ts'
import { formatMs, shortDigest } from '../basics/table.ts'
import type { DevReport } from './dev-round.ts'

const shownPaths = 100

/** `totalMs` is from the first change of the burst. */
export function formatReport(report: DevReport, totalMs: number, colours: Colours): string {
  const { outcome, changed, digest, ms, failure, serving } = report
  const paint = outcome === 'serving' ? colours.green : outcome === 'failed' ? colours.red : colours.dim
  const [first = 'nothing'] = changed
  const what = changed.length > 1 ? `${changed.length} files` : first
  const stages = [...ms].map(([stage, took]) => `${stage} ${formatMs(took)}`).join(', ')
  const line = `${paint(outcome.padEnd(10))} ${what}: ${stages}, in all ${formatMs(totalMs)}`
  if (outcome === 'unchanged') return `${line}; the release is the same`
  if (outcome === 'superseded') return `${line}; a newer save came before it served`
  if (failure === null) return `${line}; ${shortDigest(digest)}`
  const code = failure.code === undefined ? '' : ` (${failure.code})`
  const rest = serving.length === 0 ? '' : `; ${serving.map(shortDigest).join(', ')} serves on`
  return `${line}; ${failure.message.replaceAll('\n', ' ')}${code}${rest}`
}

export function reportRecord(report: DevReport, totalMs: number): Readonly<Record<string, unknown>> {
  const { outcome, changed, digest, ms, stage, failure, serving } = report
  return {
    outcome,
    changed: changed.slice(0, shownPaths),
    changed_count: changed.length,
    digest,
    ms: { ...Object.fromEntries(ms), total: Math.round(totalMs) },
    stage,
    error: failure === null ? null : errorRecord(failure),
    still_serving: serving,
  }
}

function errorRecord({ kind, message, next, code, detail }: Failure) {
  return { kind, message, next: next ?? null, code: code ?? null, detail }
}
