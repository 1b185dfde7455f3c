// What a registry is shown: the credentials that `docker login` and its like have written, as they are (Basic) or changed for
// a token (Bearer, https://distribution.github.io/distribution/spec/auth/token/). They go to no other origin.
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { exchange } from './http-exchange.ts'

/** A header for requests of this scope, such as `repository:team/name:pull,push`. */
export type Authorizer = {
  readonly header: (scope: string) => string | undefined
  /** Follows the challenge of a 401; false where it leaves nothing to try. */
  readonly answer: (challenge: string | undefined, scope: string) => Promise<boolean>
}

/** `basic` is base64 of `user:password`; undefined where there is none. */
export function createAuthorizer(registry: URL, basic: string | undefined): Authorizer {
  const known = new Map<string, string>()
  return {
    header: (scope) => known.get(scope),
    async answer(challenge, scope) {
      const [, scheme = '', rest = ''] = /^(\w+)\s*(.*)$/s.exec(challenge ?? '') ?? []
      if (scheme.toLowerCase() === 'basic') {
        const header = basic && `Basic ${basic}`
        if (header === undefined || known.get(scope) === header) return false
        known.set(scope, header)
        return true
      }
      if (scheme.toLowerCase() !== 'bearer') return false
      const values = new Map([...rest.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value]))
      const before = known.get(scope)
      const token = await fetchToken(registry, values.get('realm'), values.get('service'), scope, basic)
      known.set(scope, `Bearer ${token}`)
      return before !== `Bearer ${token}`
    },
  }
}

async function fetchToken(
  registry: URL,
  realm: string | undefined,
  service: string | undefined,
  scope: string,
  basic: string | undefined,
): Promise<string> {
  if (realm === undefined || !URL.canParse(realm)) throw new Error(`${registry.host} names no realm to ask for a token`)
  const url = new URL(realm)
  // Credentials in clear only where the registry itself is spoken to so.
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && registry.protocol === 'http:'))
    throw new Error(`${registry.host} wants its token from ${url.origin}, which is not https: it is not asked`)
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', scope)
  const headers = basic === undefined ? {} : { authorization: `Basic ${basic}` }
  const { status, body } = await exchange(url, { method: 'GET', headers, maxBytes: 1 << 20 })
  if (status !== 200) throw new Error(`${url.origin} gives no token for ${scope}: status ${status}`)
  const answer: { token?: unknown; access_token?: unknown } | null = JSON.parse(body.toString())
  const token = answer?.token ?? answer?.access_token
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token))
    throw new Error(`${url.origin} answered without a token`)
  return token
}

/** From the file that `docker login`, `podman login` and the login actions of CI write; undefined where it has none. */
export async function loadCredentials(host: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const file = env['REGISTRY_AUTH_FILE'] ?? join(env['DOCKER_CONFIG'] ?? join(homedir(), '.docker'), 'config.json')
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  const config: { auths?: Record<string, { auth?: string }>; credsStore?: string } = JSON.parse(text)
  const entry = config.auths?.[host]
  if (entry !== undefined && !entry.auth && config.credsStore !== undefined)
    throw new Error(
      `${file} leaves the password of ${host} to ${config.credsStore}: log in to a file without credsStore`,
    )
  return entry?.auth || undefined
}
