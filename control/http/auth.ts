// Who asks, and whether they may: a bearer token for each operation that is not open, before a byte of the body is read.
import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ControlError } from '../domain/errors.ts'
import type { Principal } from '../domain/model.ts'
import type { Services } from '../domain/services.ts'
import { callerOf, isOperation, mayDo, operations } from './permissions.ts'
import type { Instance } from './request.ts'

const windowMs = 60_000
const mostKnown = 1000

export interface Guard {
  /** Sets the principal of the request. Throws `unauthorized` or `too_many`. */
  authenticate(request: FastifyRequest, reply: FastifyReply): Promise<Principal>
  /** A preParsing hook: it comes after the rate limit and before the body. */
  hook(request: FastifyRequest, reply: FastifyReply): Promise<void>
}

/** After `maxFailures` of one address in a minute, only tokens that were good of late are looked up for it. */
export function createGuard(app: Instance, authenticate: Services['authenticate'], maxFailures: number): Guard {
  const failures = app.createRateLimit({ max: maxFailures, timeWindow: windowMs })
  const known = new Set<string>()

  async function identify(request: FastifyRequest, reply: FastifyReply): Promise<Principal> {
    const token = bearerOf(request.headers.authorization)
    const key = createHash('sha256').update(token).digest('base64')
    const before = await failures(request, { increment: false })
    if (!before.isAllowed && before.remaining === 0 && !known.has(key)) {
      reply.header('retry-after', String(Math.max(1, before.ttlInSeconds)))
      throw new ControlError('too_many', `${maxFailures} tokens from this address were unknown within a minute`)
    }
    const principal = await authenticate(token)
    if (principal === undefined) {
      known.delete(key)
      await failures(request)
      throw new ControlError('unauthorized', 'the token is not known, or no longer', { field: 'authorization' })
    }
    known.delete(key)
    known.add(key)
    for (const oldest of known) if (known.size > mostKnown) known.delete(oldest)
    request.principal = principal
    return principal
  }

  return {
    authenticate: identify,
    async hook(request, reply) {
      const operation = request.routeOptions.schema?.operationId
      if (operation === undefined || !isOperation(operation) || operations[operation] === 'open') return
      const principal = await identify(request, reply)
      if (mayDo(principal, operation)) return
      const callers = operations[operation].join(', ')
      throw new ControlError('forbidden', `${operation} is for ${callers}, and this token is of ${callerOf(principal)}`)
    },
  }
}

/** RFC 6750, section 2.1. */
function bearerOf(header: string | undefined): string {
  const field = 'authorization'
  if (header === undefined)
    throw new ControlError('unauthorized', 'authorization is missing: send `Authorization: Bearer <token>`', { field })
  const token = /^Bearer +([A-Za-z0-9._~+/=:-]{1,8192}) *$/i.exec(header)?.[1]
  if (token !== undefined) return token
  throw new ControlError('unauthorized', 'authorization is not `Bearer <token>`', { field })
}
