// A process is a list of parts: started in order, stopped in the opposite order on SIGTERM or SIGINT.
import type { Log } from './log.ts'

export interface Part {
  readonly name: string
  start(): void | Promise<void>
  stop(): void | Promise<void>
}

/**
 * Runs the parts until a signal comes, then stops them; answers the signal's name. A part whose start rejects ends the
 * run: what was started is stopped and the error is thrown. A stray error of a library is logged and survived: a pod is
 * Ready only while its sidecars run.
 */
export async function runParts(parts: readonly Part[], log: Log): Promise<NodeJS.Signals> {
  const signal = nextSignal()
  process.on('uncaughtException', (err) => log.error({ err }, 'uncaught error'))
  process.on('unhandledRejection', (err) => log.error({ err }, 'unhandled rejection'))
  const started: Part[] = []
  try {
    for (const part of parts) {
      await part.start()
      started.unshift(part)
    }
    const name = await signal
    log.info({ signal: name }, 'stopping')
    return name
  } finally {
    for (const part of started) await part.stop()
  }
}

function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.on('SIGTERM', resolve)
    process.on('SIGINT', resolve)
  })
}
