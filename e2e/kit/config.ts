// What the scenarios are told from outside. Nothing else here reads the environment.
export interface E2eConfig {
  readonly agentImage: string
  /** The sidecar's, where it is another. */
  readonly fetchImage: string
  readonly nodejsImage: string
  readonly controlImage: string
  readonly postgresImage: string
  /** Measured rows are added to this file, one JSON object a line. */
  readonly jsonPath: string | undefined
  /** Refreshes in a row, in the soak. */
  readonly soakRefreshes: number
  /** Refreshes under load, in overlap. */
  readonly overlapRefreshes: number
  /** Refreshes of each series, in latency. */
  readonly latencyRefreshes: number
  /** Commands of a shell that stop and start the API server, and how long it stays away. */
  readonly apiServer: { readonly stop: string; readonly start: string; readonly downMs: number } | undefined
}

/** Throws where no cluster is named: a scenario never guesses one. */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): E2eConfig {
  if (!env.KUBECONFIG)
    throw new Error('KUBECONFIG is not set: the scenarios need a cluster; name the file that says how to reach it')
  const { AETHER_E2E_APISERVER_STOP: stop, AETHER_E2E_APISERVER_START: start } = env
  const agentImage = env.AETHER_AGENT_IMAGE || 'aether.local/aether-agent:dev'
  return Object.freeze({
    agentImage,
    fetchImage: env.AETHER_FETCH_IMAGE || agentImage,
    nodejsImage: env.AETHER_NODEJS_IMAGE || 'aether.local/aether-nodejs:dev',
    controlImage: env.AETHER_CONTROL_IMAGE || 'aether.local/aether-control:dev',
    postgresImage: env.AETHER_POSTGRES_IMAGE || 'aether.local/aether-postgres:dev',
    jsonPath: env.AETHER_E2E_JSON || undefined,
    soakRefreshes: count('AETHER_E2E_SOAK', env.AETHER_E2E_SOAK || '10'),
    overlapRefreshes: count('AETHER_E2E_OVERLAP', env.AETHER_E2E_OVERLAP || '10'),
    latencyRefreshes: count('AETHER_E2E_LATENCY', env.AETHER_E2E_LATENCY || '8'),
    apiServer:
      stop && start
        ? {
            stop,
            start,
            downMs: 1000 * count('AETHER_E2E_APISERVER_DOWN_SEC', env.AETHER_E2E_APISERVER_DOWN_SEC || '180'),
          }
        : undefined,
  })
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new Error(`${name} must be a number from 1 to 99999; it is "${text}"`)
  return Number(text)
}
