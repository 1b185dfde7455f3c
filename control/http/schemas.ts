// Schemas that several routes share. Every object refuses fields it does not know; text that goes into the database
// holds no NUL, which PostgreSQL cannot store.
import type { Digest } from '@aether/contract/digest'
import { Type } from 'typebox'
import { type ErrorCode, errorTable } from '../domain/errors.ts'
import type { AppName } from '../domain/model.ts'
import { problemType } from './problem.ts'

export const strict = { additionalProperties: false } as const
const exampleDigest = `sha256:${'a1b2c3d4'.repeat(8)}`

export const appName = Type.Unsafe<AppName>({
  type: 'string',
  pattern: '^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$',
  maxLength: 40,
  description: 'A DNS label of at most 40 characters that begins with a letter.',
  examples: ['hello'],
})

export const digest = Type.Unsafe<Digest>({
  type: 'string',
  pattern: '^sha256:[0-9a-f]{64}$',
  description: 'sha256 of the artifact.',
  examples: [exampleDigest],
})

export const signatureText = Type.String({
  pattern: '^[A-Za-z0-9+/=_:.-]{1,8192}$',
  maxLength: 8192,
  description: 'ed25519 over the 64 hex characters of the digest, as hex or base64.',
})

export const commitText = Type.String({ pattern: '^[A-Za-z0-9._/+-]{1,100}$', maxLength: 100 })

/** Of a folder object or a file of a tree. */
export const objectDigest = Type.String({
  pattern: '^[0-9a-f]{64}$',
  maxLength: 64,
  examples: ['a1b2c3d4'.repeat(8)],
})

export const namespace = Type.String({
  pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$',
  maxLength: 63,
  examples: ['default'],
})

export const time = Type.String({ format: 'date-time', examples: ['2026-01-01T00:00:00.000Z'] })

export function oneOf<const T extends string>(values: readonly T[], about: { readonly description?: string } = {}) {
  return Type.Unsafe<T>({ type: 'string', enum: values, ...about })
}

/** Text without NUL. */
export function text(maxLength: number, about: { readonly description?: string; readonly examples?: string[] } = {}) {
  return Type.String({ maxLength, pattern: '^[^\\u0000]*$', ...about })
}

export const appParams = Type.Object({ app: appName }, strict)
export const digestParams = Type.Object(
  {
    digest: Type.String({
      pattern: '^(sha256:)?[0-9a-f]{64}$',
      description: 'The digest, with or without `sha256:`.',
      examples: [exampleDigest],
    }),
  },
  strict,
)
export const noQuery = Type.Object({}, strict)

export const pageFields = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 100, default: 50, description: 'Most items of the answer.' }),
  ),
  after: Type.Optional(
    Type.String({ pattern: '^[A-Za-z0-9_.:~=-]{1,200}$', maxLength: 200, description: '`next` of the page before.' }),
  ),
}

/** What a list's query asks for. */
export function pageOf({ limit = 50, after = null }: { limit?: number; after?: string | null }) {
  return { limit, after }
}

export const next = Type.Union([Type.String(), Type.Null()], {
  description: 'Send it as `after` for the next page; null where there is none.',
})

const problem = Type.Object(
  {
    type: Type.String({ examples: ['urn:aether:problem:malformed'] }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: oneOf([...new Set(Object.keys(errorTable))], { description: 'Of a closed list; decide by it.' }),
    message: Type.String({ description: 'As `detail`: what is wrong and what to do.' }),
    field: Type.Optional(Type.String({ description: 'Header, parameter or path in the body that is at fault.' })),
    request_id: Type.String(),
  },
  { title: 'Problem', description: 'A problem of RFC 9457.' },
)

/** An answer without a body. Untyped like the refusals: typed, its route would have to send a null, which is sent as text. */
export function emptyAnswer(status: number, description: string): object {
  return { [status]: Type.Null({ description }) }
}

/** What any operation that needs a token can answer. */
const always: readonly ErrorCode[] = [
  'malformed',
  'unauthorized',
  'forbidden',
  'too_many',
  'internal',
  'database_unavailable',
]

/** Answers of an operation that needs a token: the usual ones, and these. */
export function refusals(...codes: readonly ErrorCode[]): object {
  return problems(...always, ...codes)
}

export function problems(...codes: readonly ErrorCode[]): object {
  const byStatus = Map.groupBy(codes, (code) => errorTable[code].status)
  const answers = [...byStatus].map(([status, of]) => [
    status,
    {
      description: [...new Set(of)].map((code) => `\`${code}\`: ${errorTable[code].title}.`).join(' '),
      content: { [problemType]: { schema: problem } },
    },
  ])
  return Object.fromEntries(answers)
}
