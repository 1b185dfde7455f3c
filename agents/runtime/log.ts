// One stream on stdout: JSON lines as pino writes them, and the marker lines in between, in the order they were written. Not by
// pino itself, of which this is all that an agent uses: docs/adr/0009 has what it would cost.
import { errorFields } from './error-fields.ts'
import { writeLine } from './stdout.ts'

/** Fields that a line carries; values must be free of secrets. */
export type LogFields = Readonly<Record<string, unknown>>

export interface Log {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  /** A marker: a plain line of its own. */
  marker(line: string): void
}

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

const weights = { debug: 20, info: 30, warn: 40, error: 50, silent: Number.POSITIVE_INFINITY } as const

/** `agent` is a field of every line; an error in the field `err` is written out (error-fields.ts). */
export function createLog(agent: string, level: LogLevel): Log {
  function at(name: Exclude<LogLevel, 'silent'>) {
    if (weights[name] < weights[level]) return () => undefined
    return (fields: LogFields, message: string) => {
      const head = { level: weights[name], time: new Date().toISOString(), agent }
      writeLine(formatLine(head, fields, message))
    }
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), marker: writeLine }
}

function formatLine(head: LogFields, fields: LogFields, msg: string): string {
  try {
    const { err } = fields
    return JSON.stringify({ ...head, ...fields, ...(err instanceof Error && { err: errorFields(err) }), msg })
  } catch (error) {
    // A cycle or a BigInt in what is logged is no reason to end, nor to say nothing.
    return JSON.stringify({ ...head, unwritten: String(error), msg })
  }
}
