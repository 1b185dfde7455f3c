// What the scenarios are told from outside. Nothing else here reads the environment.
export interface E2eConfig {
  readonly agentImage: string
  readonly nodejsImage: string
  /** Measured rows are added to this file, one JSON object a line. */
  readonly jsonPath: string | undefined
}

/** Throws where no cluster is named: a scenario never guesses one. */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): E2eConfig {
  if (!env.KUBECONFIG)
    throw new Error('KUBECONFIG is not set: the scenarios need a cluster; name the file that says how to reach it')
  return Object.freeze({
    agentImage: env.AETHER_AGENT_IMAGE || 'aether.local/aether-agent:dev',
    nodejsImage: env.AETHER_NODEJS_IMAGE || 'aether.local/aether-nodejs:dev',
    jsonPath: env.AETHER_E2E_JSON || undefined,
  })
}
