// The connections of refreshes. The address that was checked is the one connected to: a name is resolved once for
// each connection, within it. One is kept for some seconds, since who saves a file saves another.
import { lookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import type { Dispatcher } from 'undici'
import { admit, refuseAddress, type SourcePolicy, type Standing } from './origins.ts'

export interface Connections {
  /** One request, followed nowhere. Throws ReasonError `download` where the policy refuses the URL or its address. */
  send(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Dispatcher.ResponseData>
  /** Ends what is under way. Connections are kept where all went well. */
  close(isWell: boolean): void
}

const connectMs = 10_000
/** Less than the 5 s after which Node's own servers let go, whatever a server says of itself. */
const keepMs = 4000

const dispatchersOf = new WeakMap<SourcePolicy, Map<Standing, Dispatcher>>()
/** Origins that answered since the last failure: a connection to one of them may be a kept one. */
const answered = new Set<string>()
const mostOrigins = 16

export function openConnections(policy: SourcePolicy, idleMs: number): Connections {
  const closed = new AbortController()

  return {
    async send(url, headers, signal) {
      const standing = admit(url, policy)
      // Loaded with the first refresh: an idle agent does not pay for it.
      const { request } = await import('undici')
      const dispatcher = await dispatcherFor(standing, policy)
      const bound = AbortSignal.any([signal, closed.signal])
      const { origin } = new URL(url)
      const mayBeKept = answered.has(origin)
      const ask = async () => {
        const asking = { headers, headersTimeout: idleMs, bodyTimeout: idleMs, signal: bound, dispatcher }
        const answer = await request(url, asking)
        if (answered.size >= mostOrigins) answered.clear()
        answered.add(origin)
        return answer
      }
      if (!mayBeKept) return ask()
      return ask().catch((error: unknown) => {
        // The server let go of a connection in the moment when it was used again, or while this process stood still.
        if (bound.aborted || !isLost(error)) throw error
        return ask()
      })
    },
    close(isWell) {
      closed.abort()
      if (isWell) return
      for (const dispatcher of dispatchersOf.get(policy)?.values() ?? [])
        void dispatcher.destroy().catch(() => undefined)
      dispatchersOf.delete(policy)
      answered.clear()
    },
  }
}

async function dispatcherFor(standing: Standing, policy: SourcePolicy): Promise<Dispatcher> {
  const known = dispatchersOf.get(policy) ?? new Map<Standing, Dispatcher>()
  dispatchersOf.set(policy, known)
  const found = known.get(standing)
  if (found !== undefined) return found
  const checks = standing === 'unlisted' ? { lookup: checkedLookup(policy) } : {}
  const keeping = { keepAliveTimeout: keepMs, keepAliveMaxTimeout: keepMs }
  // HTTP/2 would cost each first refresh 10 ms for its code, and a file at a time gains nothing by it.
  const options = { connect: { timeout: connectMs, ...checks }, ...keeping, allowH2: false }
  // The token for control is shown to no proxy. Who else is asked by one is resolved by it.
  const proxies = standing === 'control' ? undefined : policy.proxies
  const { Agent, EnvHttpProxyAgent } = await import('undici')
  const made = proxies === undefined ? new Agent(options) : new EnvHttpProxyAgent({ ...options, ...proxies })
  known.set(standing, made)
  return made
}

/** undici's word for a socket that ended before an answer began. */
function isLost(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'UND_ERR_SOCKET' || error.code === 'ECONNRESET')
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
