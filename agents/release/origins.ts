// Which servers an artifact may come from. An annotation or a redirect names the URL, so the pod's own settings say
// where it may lead.
import { isIP } from 'node:net'
import { type ReasonError, refusal } from '@aether/contract/reasons'
import { redactUrl } from '@aether/contract/target'
import { reachOf } from './addresses.ts'
import type { Proxies } from './proxies.ts'

export const addressChoices = ['public', 'private', 'any'] as const

export interface SourcePolicy {
  /** Scheme, host and port of the servers that are taken, whatever their addresses; none listed takes any server. */
  readonly origins: ReadonlySet<string>
  /** Control is taken always. */
  readonly controlOrigin: string | undefined
  /** Addresses of servers that are not listed; `private` takes public ones too. */
  readonly addresses: (typeof addressChoices)[number]
  /** Not for control. */
  readonly proxies: Proxies | undefined
}

/** `control` and `listed` are trusted with any address. */
export type Standing = 'control' | 'listed' | 'unlisted'

/** Throws ReasonError `download` where this URL may not be asked, as far as that is known without resolving its name. */
export function admit(url: string, policy: SourcePolicy): Standing {
  const { origin, hostname } = new URL(url)
  if (origin === policy.controlOrigin) return 'control'
  if (policy.origins.has(origin)) return 'listed'
  if (policy.origins.size > 0)
    throw refusal(
      'download',
      'origin_refused',
      `${redactUrl(url)} is of an origin that is not allowed: add ${origin} to AETHER_ARTIFACT_ORIGINS if that is right`,
    )
  // A literal is never resolved; the URL's parser has made decimal, octal and hex forms the usual one.
  const literal = hostname.replace(/^\[(.*)\]$/, '$1')
  const refused = isIP(literal) === 0 ? undefined : refuseAddress(hostname, literal, policy)
  if (refused !== undefined) throw refused
  return 'unlisted'
}

/** Why a server that is not listed may not be asked at this address. */
export function refuseAddress(host: string, address: string, { addresses }: SourcePolicy): ReasonError | undefined {
  if (addresses === 'any') return undefined
  const reach = reachOf(address)
  if (reach === 'public' || (reach === 'private' && addresses === 'private')) return undefined
  const where = host.includes(address) ? host : `${host} (${address})`
  const [what, remedy] =
    reach === 'private'
      ? ['a private address', 'AETHER_ARTIFACT_ADDRESSES=private takes such']
      : ['an address of this machine, its link or its cloud', 'artifacts are not fetched from there']
  return refusal(
    'download',
    'address_refused',
    `${where} is ${what}: ${remedy}; or list the server in AETHER_ARTIFACT_ORIGINS if that is right`,
  )
}

/** Parses AETHER_ARTIFACT_ORIGINS. Throws an Error that says what to write. */
export function parseOrigins(text: string): ReadonlySet<string> {
  const parts = text.split(/[,\s]+/).filter((part) => part !== '')
  return new Set(parts.map(parseOrigin))
}

function parseOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:'
  if (url !== undefined && isHttp && url.href === `${url.origin}/`) return url.origin
  throw new Error('write origins with commas between them, as in https://artifacts.example,http://10.0.0.7:8080')
}
