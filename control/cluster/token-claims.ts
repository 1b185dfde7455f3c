// What a service-account token says of itself, unverified: enough to keep other secrets from being sent to the API server.
import { at, listAt, numberAt } from './json-path.ts'

export interface TokenClaims {
  readonly audiences: readonly unknown[]
  readonly expiresAt: Date
}

const maxTokenChars = 8192

/** Undefined where it is no JSON web token (RFC 7519) that expires. */
export function readClaims(token: string): TokenClaims | undefined {
  if (token.length > maxTokenChars) return undefined
  const [, payload, ...rest] = token.split('.')
  if (payload === undefined || rest.length !== 1) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    const exp = numberAt(claims, 'exp')
    if (exp === undefined) return undefined
    const audiences = typeof at(claims, 'aud') === 'string' ? [at(claims, 'aud')] : listAt(claims, 'aud')
    return { audiences, expiresAt: new Date(exp * 1000) }
  } catch {
    return undefined
  }
}
