// Measured rows: a table for people, and lines of JSON for programs.
import { appendFileSync } from 'node:fs'
import type { Test } from 'tap'
import type { Scenario } from './scenario.ts'

export type Row = Readonly<Record<string, string | number>>

/** Prints the rows under a title; every row has the columns of the first. */
export function reportRows(t: Test, { config }: Scenario, title: string, rows: readonly Row[]): void {
  t.comment(title)
  for (const line of formatRows(rows)) t.comment(`  ${line}`)
  if (config.jsonPath === undefined) return
  for (const row of rows) appendFileSync(config.jsonPath, `${JSON.stringify({ title, ...row })}\n`)
}

/** Aligned lines, the first one the names of the columns; every row has the columns of the first. */
export function formatRows(rows: readonly Row[]): readonly string[] {
  const columns = Object.keys(rows[0] ?? {})
  const cells = [columns, ...rows.map((row) => columns.map((column) => String(row[column] ?? '')))]
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => line[at]?.length ?? 0)))
  return cells.map((line) => line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  '))
}

/** The value that half of them do not exceed. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length / 2) - 1] ?? Number.NaN
}
