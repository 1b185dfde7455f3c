// One stream on stdout: JSON lines by pino, and the marker lines in between, in the order they were written.
import { pino } from 'pino'

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

/** `agent` is a field of every line. */
export function createLog(agent: string, level: LogLevel): Log {
  // Synchronous, so that a line is out before the process can end, and markers keep their place.
  const stdout = pino.destination({ fd: 1, sync: true })
  const logger = pino({ level, base: { agent }, timestamp: pino.stdTimeFunctions.isoTime }, stdout)
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    marker: (line) => stdout.write(`${line}\n`),
  }
}
