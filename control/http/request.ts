// What our hooks add to a request of Fastify, and the types of the instance that routes are added to.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyRequest,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import { ControlError, type ErrorCode } from '../domain/errors.ts'
import type { Principal } from '../domain/model.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; null until the token was looked up, and on routes that need none. */
    principal: Principal | null
    /** Why it was refused, for the audit. */
    refusal: ErrorCode | null
  }
}

export type Instance = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

type User = Extract<Principal, { kind: 'user' }>
type Agent = Extract<Principal, { kind: 'agent' }>

export function principalOf({ principal }: Pick<FastifyRequest, 'principal'>): Principal {
  if (principal === null) throw new ControlError('unauthorized', 'this route needs a token')
  return principal
}

export function userOf(request: Pick<FastifyRequest, 'principal'>): User {
  const principal = principalOf(request)
  if (principal.kind === 'user') return principal
  throw new ControlError('forbidden', 'this route is for users, and the token is that of a pod')
}

export function agentOf(request: Pick<FastifyRequest, 'principal'>): Agent {
  const principal = principalOf(request)
  if (principal.kind === 'agent') return principal
  throw new ControlError('forbidden', 'this route is for pods, and the token is that of a user')
}
