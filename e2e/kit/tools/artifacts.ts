// An artifact server in memory, with faults on demand and a count of what was asked for.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Fault } from './protocol.ts'

export interface Artifacts {
  /** Answers GET, PUT and DELETE of one artifact. */
  serve(name: string, request: IncomingMessage, response: ServerResponse): Promise<void>
  setFault(name: string, fault: Fault | undefined): void
  /** GETs by name, whatever they were answered. */
  counts(): Readonly<Record<string, number>>
}

export function createArtifacts(): Artifacts {
  const stored = new Map<string, Buffer>()
  const faults = new Map<string, Fault>()
  const asked = new Map<string, number>()

  function send(name: string, response: ServerResponse): void {
    asked.set(name, (asked.get(name) ?? 0) + 1)
    const { status, truncateAt } = faults.get(name) ?? {}
    const bytes = stored.get(name)
    if (status !== undefined || bytes === undefined) {
      response.writeHead(status ?? 404).end()
      return
    }
    response.writeHead(200, { 'content-type': 'application/gzip', 'content-length': bytes.length })
    if (truncateAt === undefined) response.end(bytes)
    else response.write(bytes.subarray(0, truncateAt), () => response.destroy())
  }

  return {
    async serve(name, request, response) {
      if (request.method === 'GET') return send(name, response)
      if (request.method === 'PUT') stored.set(name, await readBody(request))
      else stored.delete(name)
      response.writeHead(204).end()
    },
    setFault(name, fault) {
      if (fault === undefined) faults.delete(name)
      else faults.set(name, fault)
    },
    counts: () => Object.fromEntries(asked),
  }
}

export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}
