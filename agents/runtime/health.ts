// The small HTTP server of an agent: /livez (the event loop turns), /readyz (asked of the agent), /metrics.
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { Registry } from './metrics.ts'
import type { Part } from './parts.ts'

export interface Readiness {
  readonly ready: boolean
  /** Why not, for a person who curls it. */
  readonly message: string
}

export interface HealthOptions {
  readonly port: number
  /** '' is all of this machine's, of either family. */
  readonly host: string
  readonly registry: Registry
  readonly readiness: () => Readiness | Promise<Readiness>
}

/** A part that listens from start to stop. Start rejects where the port is taken. */
export function createHealthServer(options: HealthOptions): Part & { readonly address: () => string } {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0]
    if (request.method !== 'GET' && request.method !== 'HEAD') answer(response, 405, 'GET or HEAD\n')
    else if (path === '/livez') answer(response, 200, 'alive\n')
    else if (path === '/readyz') void answerReadiness(options, response)
    else if (path === '/metrics') void answerMetrics(options.registry, response)
    else answer(response, 404, 'there are /livez, /readyz and /metrics\n')
  })
  return {
    name: 'health server',
    start: () => listen(server, options.port, options.host),
    stop: () => close(server),
    address() {
      const address = server.address()
      if (address === null || typeof address === 'string') return ''
      return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
    },
  }
}

async function answerReadiness(options: HealthOptions, response: ServerResponse): Promise<void> {
  try {
    const { ready, message } = await options.readiness()
    answer(response, ready ? 200 : 503, `${message}\n`)
  } catch (error) {
    answer(response, 503, `${error instanceof Error ? error.message : 'failed'}\n`)
  }
}

async function answerMetrics(registry: Registry, response: ServerResponse): Promise<void> {
  try {
    answer(response, 200, await registry.metrics(), registry.contentType)
  } catch {
    answer(response, 500, 'the metrics could not be read\n')
  }
}

function answer(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body)
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // Node resolves whatever host it is given, an address too: 6 ms and a megabyte of an agent's start.
    server.listen({ port, ...(host !== '' && { host }) }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
