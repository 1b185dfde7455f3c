// One row for each request of a user that could change something, whatever became of it. Who shows no known token is
// nobody and gets no row, or strangers could fill the table; pods' reports have a table of their own.
import { uploadHeaders } from '@aether/contract/control-api'
import { isObject } from '@aether/contract/json'
import type { Log } from '@aether/runtime/log'
import type { FastifyRequest } from 'fastify'
import type { AuditEntry } from '../domain/model.ts'

const longest = 200
const reading: ReadonlySet<string> = new Set(['GET', 'HEAD'])

export interface Audit {
  /** When it is known what became of the request, whether or not the client is still there to hear of it. Does not wait. */
  add(request: FastifyRequest): void
  /** Resolves when every row that was begun is written, or could not be. */
  settled(): Promise<void>
}

export function createAudit(write: (entry: AuditEntry) => Promise<void>, log: Log): Audit {
  const pending = new Set<Promise<void>>()
  return {
    add(request) {
      const action = request.routeOptions.schema?.operationId
      const { principal } = request
      if (action === undefined || principal?.kind !== 'user' || reading.has(request.method)) return
      const entry: AuditEntry = {
        actor: principal.user,
        role: principal.role,
        action,
        subject: subjectOf(request),
        requestId: request.id,
        outcome: request.refusal ?? 'ok',
      }
      const written = write(entry).catch((err: unknown) =>
        log.error({ err, ...entry }, 'the audit could not be written'),
      )
      pending.add(written)
      void written.then(() => pending.delete(written))
    },
    async settled() {
      await Promise.all(pending)
    },
  }
}

/** What it was about: the path's parameters, else what headers or body name. */
function subjectOf({ params, headers, body }: FastifyRequest): string {
  const named = isObject(params) ? Object.values(params) : []
  const sent = isObject(body)
    ? [body.app, body.name, body.digest]
    : [headers[uploadHeaders.app], headers[uploadHeaders.digest]]
  return [...named, ...(named.length > 0 ? [] : sent)]
    .filter((part) => typeof part === 'string')
    .join(' ')
    .replaceAll('\0', '')
    .slice(0, longest)
}
