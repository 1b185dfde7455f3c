// Control's log: JSON lines on stdout by pino. An agent, which is idle in every pod, writes the same lines itself (docs/adr/0009).
import type { Log, LogLevel } from '@aether/runtime/log'
import { pino } from 'pino'

/** `agent` is a field of every line. */
export function createLog(agent: string, level: LogLevel): Log {
  // Synchronous, so that a line is out before the process can end.
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
