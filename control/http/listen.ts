// The part of the process that listens. It stops by letting what is under way finish, within a bound.
import type { Log } from '@aether/runtime/log'
import type { Part } from '@aether/runtime/parts'
import type { Instance } from './request.ts'

const longestStopMs = 20_000

export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly log: Log
}

export function createListener(app: Instance, { host, port, log }: ListenOptions): Part {
  return {
    name: 'http',
    async start() {
      const url = await app.listen({ host, port })
      log.info({ url }, 'listening')
    },
    async stop() {
      const late = setTimeout(() => {
        log.warn({}, 'connections that would not end are cut')
        app.server.closeAllConnections()
      }, longestStopMs)
      await app.close()
      clearTimeout(late)
    },
  }
}
