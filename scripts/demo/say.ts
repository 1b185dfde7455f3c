// What the demo prints: a line a step, with the time since it began. Colours where the terminal has them (NO_COLOR is kept).
import { styleText } from 'node:util'

const began = performance.now()

export function say(what: string, text: string): void {
  const at = `${((performance.now() - began) / 1000).toFixed(2)} s`.padStart(8)
  process.stdout.write(`${styleText('dim', at)}  ${styleText('cyan', what.padEnd(9))} ${text}\n`)
}

export function heading(text: string): void {
  process.stdout.write(`\n${styleText('bold', text)}\n`)
}

export function plain(text: string): void {
  process.stdout.write(`${text}\n`)
}

export const good = (text: string) => styleText('green', text)
export const bad = (text: string) => styleText('red', text)
export const faint = (text: string) => styleText('dim', text)

/** Rows under a header, columns as wide as their widest cell; all but the first to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => (row[at] ?? '').length)))
  return rows
    .map((row) =>
      row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  '),
    )
    .map((line) => `  ${line.trimEnd()}`)
    .join('\n')
}
