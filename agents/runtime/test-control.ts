// For tests: a server on loopback that speaks control's two routes for agents, and can be away. e2e asks the real one.
import { createServer, type Server, type ServerResponse } from 'node:http'
import { agentPaths, formatSelfTarget, type SelfTarget } from '@aether/contract/control-api'
import type { Test } from 'tap'
import { freePort } from './test-process.ts'

export interface Asked {
  readonly route: string
  readonly authorization: string | undefined
  /** Parsed, where there was one. */
  readonly body: unknown
}

/** What a route answers from now on; `path` is the one below the control's own. */
export type Route = (response: ServerResponse, asked: Asked) => void

export interface TestControl {
  readonly url: string
  readonly asked: readonly Asked[]
  /** Bodies of the outcomes that were taken. */
  readonly outcomes: readonly unknown[]
  onTarget(route: Route): void
  onOutcome(route: Route): void
  /** Other paths, as an artifact's. */
  readonly routes: Map<string, Route>
  start(): Promise<void>
  stop(): Promise<void>
}

export const taken: Route = (response) => response.writeHead(204).end()

export function status(code: number, headers: Readonly<Record<string, string>> = {}): Route {
  return (response) => response.writeHead(code, headers).end('{}')
}

export function target(self: SelfTarget): Route {
  return (response) => response.writeHead(200, { 'content-type': 'application/json' }).end(formatSelfTarget(self))
}

/** Not started yet. */
export async function createTestControl(t: Test): Promise<TestControl> {
  const port = await freePort()
  const prefix = '/control'
  const asked: Asked[] = []
  const outcomes: unknown[] = []
  const routes = new Map<string, Route>()
  let onTarget = status(404)
  let onOutcome = taken
  let server: Server | undefined

  function answer(path: string, seen: Asked, response: ServerResponse): void {
    if (seen.route === `GET ${prefix}${agentPaths.target}`) onTarget(response, seen)
    else if (seen.route === `PUT ${prefix}${agentPaths.outcome}`) {
      response.once('finish', () => {
        if (response.statusCode < 300) outcomes.push(seen.body)
      })
      onOutcome(response, seen)
    } else (routes.get(path) ?? status(404))(response, seen)
  }
  async function stop(): Promise<void> {
    const ending = server
    server = undefined
    if (ending === undefined) return
    await new Promise<void>((resolve) => {
      ending.close(() => resolve())
      ending.closeAllConnections()
    })
  }
  t.teardown(stop)
  return {
    url: `http://127.0.0.1:${port}${prefix}`,
    asked,
    outcomes,
    routes,
    onTarget(route) {
      onTarget = route
    },
    onOutcome(route) {
      onOutcome = route
    },
    async start() {
      const starting = createServer((request, response) => {
        const { method = '', url = '' } = request
        let text = ''
        request.setEncoding('utf8').on('data', (piece: string) => {
          text += piece
        })
        request.on('end', () => {
          const body: unknown = text === '' ? undefined : JSON.parse(text)
          const seen = { route: `${method} ${url}`, authorization: request.headers.authorization, body }
          asked.push(seen)
          answer(url, seen, response)
        })
      })
      await new Promise<void>((resolve, reject) => starting.once('error', reject).listen(port, '127.0.0.1', resolve))
      server = starting
    },
    stop,
  }
}
