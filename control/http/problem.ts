// Whatever is thrown as a problem of RFC 9457 that also carries our code. What is no error of ours is `internal`, and
// nothing of it is shown.
import { isObject } from '@aether/contract/json'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ControlError, type ErrorCode, errorTable } from '../domain/errors.ts'

export const problemType = 'application/problem+json'
const retrySeconds = '5'

export function formatProblem(error: ControlError, requestId: string): string {
  const { status, title } = errorTable[error.code]
  return JSON.stringify({
    type: `urn:aether:problem:${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    message: error.message,
    ...(error.field === undefined ? {} : { field: error.field }),
    request_id: requestId,
  })
}

export function sendProblem(error: ControlError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status } = errorTable[error.code]
  request.refusal = error.code
  // What the route said of the answer that it did not give.
  for (const name of ['etag', 'accept-ranges', 'content-length']) reply.removeHeader(name)
  if (error.code !== 'range') reply.removeHeader('content-range')
  reply.header('cache-control', 'no-store')
  // RFC 6750, section 3: no error word where no token was shown.
  if (status === 401)
    reply.header(
      'www-authenticate',
      request.headers.authorization === undefined
        ? 'Bearer realm="aether"'
        : 'Bearer realm="aether", error="invalid_token"',
    )
  if ((status === 503 || status === 429) && !reply.hasHeader('retry-after')) reply.header('retry-after', retrySeconds)
  return reply.code(status).type(problemType).send(formatProblem(error, request.id))
}

/** Codes of Fastify, and what they are in ours. */
const frameworkFaults: Readonly<Record<string, { readonly code: ErrorCode; readonly message: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'too_large', message: 'the body has more than 64 KiB' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'media_type',
    message: 'content-type is none that this route takes: application/json, or as /docs says',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { code: 'truncated', message: 'the body is not as long as content-length says' },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'malformed', message: 'the body is empty: send JSON, or no content-type' },
  FST_ERR_CTP_INVALID_JSON_BODY: { code: 'malformed', message: 'the body is not JSON' },
  ECONNRESET: { code: 'truncated', message: 'the connection ended before the body did' },
}

/** `thrown` as an error of the table; undefined where it is a fault of ours. */
export function toControlError(thrown: unknown): ControlError | undefined {
  if (thrown instanceof ControlError) return thrown
  if (!(thrown instanceof Error)) return undefined
  const invalid = readValidation(thrown)
  if (invalid !== undefined) return invalid
  const status = 'statusCode' in thrown && typeof thrown.statusCode === 'number' ? thrown.statusCode : 500
  if (status < 400 || status > 499) return undefined
  const known = 'code' in thrown && typeof thrown.code === 'string' ? frameworkFaults[thrown.code] : undefined
  const { code, message } = known ?? { code: status === 404 ? 'not_found' : 'malformed', message: thrown.message }
  return new ControlError(code, message, { cause: thrown })
}

/** A fault that a schema found; the value is not repeated, since it may be a secret. */
function readValidation(error: Error): ControlError | undefined {
  if (!('validation' in error) || !Array.isArray(error.validation)) return undefined
  const first: unknown = error.validation[0]
  if (!isObject(first)) return undefined
  const part = 'validationContext' in error ? String(error.validationContext) : ''
  const field = fieldOf(part, first)
  const details = isObject(first.params) ? first.params : {}
  return new ControlError('malformed', `${field} ${remedyOf(String(first.keyword), String(first.message), details)}`, {
    field,
  })
}

const parts: Readonly<Record<string, string>> = { body: 'body', querystring: 'query', params: 'path', headers: '' }

/** `body.env.NAME`, `query.limit`, `path.app`, or the bare name of a header. */
function fieldOf(part: string, { instancePath, params, propertyName }: Readonly<Record<string, unknown>>): string {
  const details = isObject(params) ? params : {}
  const path = typeof instancePath === 'string' ? instancePath.split('/').slice(1) : []
  const last = [details.additionalProperty, details.missingProperty, propertyName, details.propertyName].find(
    (name) => typeof name === 'string',
  )
  return [parts[part] ?? part, ...path, ...(typeof last === 'string' ? [last.slice(0, 100)] : [])]
    .filter((name) => name !== '')
    .join('.')
}

function remedyOf(keyword: string, message: string, { allowedValues }: Readonly<Record<string, unknown>>): string {
  if (keyword === 'additionalProperties') return 'is not known here: leave it out; /docs shows what is'
  if (keyword === 'required') return 'is missing'
  if (keyword === 'enum' && Array.isArray(allowedValues)) return `must be one of ${allowedValues.join(', ')}`
  return message
}
