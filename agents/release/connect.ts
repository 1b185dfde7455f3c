// The connections of one refresh. The address that was checked is the one connected to: a name is resolved once for
// each connection, within it.
import { lookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import type { Dispatcher } from 'undici'
import { admit, refuseAddress, type SourcePolicy, type Standing } from './origins.ts'

export interface Connections {
  /** One request, followed nowhere. Throws ReasonError `download` where the policy refuses the URL or its address. */
  send(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Dispatcher.ResponseData>
  /** Ends them all, and what is under way. */
  close(): void
}

const connectMs = 10_000

export function openConnections(policy: SourcePolicy, idleMs: number): Connections {
  const open = new Map<Standing, Dispatcher>()

  return {
    async send(url, headers, signal) {
      const standing = admit(url, policy)
      // Loaded with the first refresh: an idle agent does not pay for it.
      const { Agent, EnvHttpProxyAgent, request } = await import('undici')
      const checks = standing === 'unlisted' ? { lookup: checkedLookup(policy) } : {}
      const options = { connect: { timeout: connectMs, ...checks } }
      // The token for control is shown to no proxy. Who else is asked by one is resolved by it.
      const proxies = standing === 'control' ? undefined : policy.proxies
      const dispatcher =
        open.get(standing) ??
        (proxies === undefined ? new Agent(options) : new EnvHttpProxyAgent({ ...options, ...proxies }))
      open.set(standing, dispatcher)
      return request(url, { headers, headersTimeout: idleMs, bodyTimeout: idleMs, signal, dispatcher })
    },
    close() {
      for (const dispatcher of open.values()) void dispatcher.destroy().catch(() => undefined)
      open.clear()
    },
  }
}

/** One refused address refuses the name: whoever mixes them is not to choose by chance. */
function checkedLookup(policy: SourcePolicy): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      const [first] = found ?? []
      if (error !== null || first === undefined) return callback(error ?? new Error(`${hostname} has no address`), [])
      const refused = found.map(({ address }) => refuseAddress(hostname, address, policy)).find((one) => one)
      if (refused !== undefined) callback(refused, [])
      else if (options.all === true) callback(null, found)
      else callback(null, first.address, first.family)
    })
  }
}
