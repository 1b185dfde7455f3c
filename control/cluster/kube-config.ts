// Where the API server is and who we are to it. Of @kubernetes/client-node only the reading of kubeconfig files and its
// ways to log in are used; each request of its own would open a TLS connection, so connections are kept here.
import { readFile } from 'node:fs/promises'
import type { ConnectionOptions } from 'node:tls'
import { ConfigError } from '@aether/runtime/config'
import { type Cluster, HttpMethod, KubeConfig, RequestContext } from '@kubernetes/client-node'
import { Agent, type Dispatcher, ProxyAgent } from 'undici'
import { textAt } from './json-path.ts'

export interface Endpoint {
  /** Without a slash at the end. */
  readonly url: string
  /** What a request sends to be known, and the connections it goes over. Rejects where a credential cannot be read. */
  credentials(): Promise<{ readonly headers: Readonly<Record<string, string>>; readonly dispatcher: Dispatcher }>
  close(): Promise<void>
}

type AgentOptions = Parameters<KubeConfig['createDispatcherOptions']>[1]
type DispatcherOptions = ReturnType<KubeConfig['createDispatcherOptions']>

// Three watches each hold one; the others are for requests.
const mostConnections = 24

/** `file` is a kubeconfig; undefined asks for the service account of the pod. Throws ConfigError. */
export function loadEndpoint(file: string | undefined): Endpoint {
  const config = new PooledKubeConfig()
  try {
    if (file === undefined) config.loadFromCluster()
    else config.loadFromFile(file)
  } catch (cause) {
    throw new ConfigError([`KUBECONFIG (${file ?? 'not set'}) cannot be read: ${messageOf(cause)}`])
  }
  const cluster = config.getCurrentCluster()
  if (cluster === null || !URL.canParse(cluster.server))
    throw new ConfigError([
      `KUBECONFIG is ${file ?? 'not set, and this is no pod with a service account'}: write the path of a kubeconfig whose current-context names a cluster`,
    ])
  return {
    url: cluster.server.replace(/\/+$/, ''),
    credentials: () => config.credentials(cluster.server),
    close: () => config.close(),
  }
}

/** Keeps one dispatcher for as long as the server's CA and our certificate stay the same. */
class PooledKubeConfig extends KubeConfig {
  #wanted: DispatcherOptions = { type: 'none' }
  #kept: { readonly key: string; readonly dispatcher: Dispatcher } | undefined

  /** Asked for each request. Answering `none` keeps the library from making a dispatcher; ours comes from what it wanted. */
  override createDispatcherOptions(cluster: Cluster | null, options: AgentOptions): DispatcherOptions {
    this.#wanted = super.createDispatcherOptions(cluster, options)
    return { type: 'none' }
  }

  async credentials(server: string): ReturnType<Endpoint['credentials']> {
    const context = new RequestContext(server, HttpMethod.GET)
    await this.applySecurityAuthentication(context)
    const headers = context.getHeaders()
    const token = await this.#freshToken()
    return {
      headers: token === undefined ? headers : { ...headers, Authorization: `Bearer ${token}` },
      dispatcher: this.#dispatcher(),
    }
  }

  async close(): Promise<void> {
    const kept = this.#kept
    this.#kept = undefined
    await kept?.dispatcher.destroy()
  }

  // The library looks at a rotated token once a minute, and 401 answers come until then.
  async #freshToken(): Promise<string | undefined> {
    const provider: unknown = this.getCurrentUser()?.authProvider
    const file = tokenFileOf(provider)
    return file === undefined ? undefined : (await readFile(file, 'utf8')).trim()
  }

  #dispatcher(): Dispatcher {
    const key = JSON.stringify(this.#wanted)
    if (this.#kept?.key !== key) {
      // Requests under way end on the connections they began on.
      void this.#kept?.dispatcher.close()
      this.#kept = { key, dispatcher: createDispatcher(this.#wanted) }
    }
    return this.#kept.dispatcher
  }
}

function createDispatcher(options: DispatcherOptions): Dispatcher {
  // A watch is silent for as long as nothing changes: its watchdog is the list-and-watch loop's.
  const limits = { connections: mostConnections, allowH2: false, bodyTimeout: 0, headersTimeout: 30_000 }
  if (options.type === 'none') return new Agent(limits)
  if (options.type === 'agent') return new Agent({ ...limits, connect: tlsOf(options.connect) })
  if (options.type === 'proxy')
    return new ProxyAgent({ ...limits, uri: options.uri, requestTls: tlsOf(options.requestTls) })
  throw new ConfigError([`the kubeconfig's proxy-url (${options.uri}) is a SOCKS proxy: write an http(s) one, or none`])
}

function tlsOf({ ca, cert, key, pfx, passphrase, rejectUnauthorized, servername }: ConnectionOptions) {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(pfx === undefined ? {} : { pfx }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
    ...(servername === undefined ? {} : { servername }),
    // A server that vanished without a word is found out even where nothing is sent.
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  }
}

function tokenFileOf(provider: unknown): string | undefined {
  const file = textAt(provider, 'config', 'tokenFile')
  return file === undefined || file === '' ? undefined : file
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
