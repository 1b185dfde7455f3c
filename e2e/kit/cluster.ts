// The cluster that KUBECONFIG names: typed reads through the client, everything that a person would type through kubectl.
import { CoreV1Api, KubeConfig, type RequestContext } from '@kubernetes/client-node'
import { execa } from 'execa'

export interface Cluster {
  readonly core: CoreV1Api
  /** Runs kubectl and answers its output; rejects with its words where it fails. */
  kubectl(args: readonly string[], input?: string): Promise<string>
  /** The same for a command that may fail: what it said on both streams. */
  tryKubectl(args: readonly string[]): Promise<string>
}

/** The client makes a dispatcher, and so a TLS connection, for each request: this one keeps the first. */
class PooledKubeConfig extends KubeConfig {
  #dispatcher: ReturnType<RequestContext['getDispatcher']>

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context)
    this.#dispatcher ??= context.getDispatcher()
    if (this.#dispatcher !== undefined) context.setDispatcher(this.#dispatcher)
  }
}

export function openCluster(): Cluster {
  const kubeConfig = new PooledKubeConfig()
  kubeConfig.loadFromDefault()
  return {
    core: kubeConfig.makeApiClient(CoreV1Api),
    async kubectl(args, input) {
      const { stdout } = await execa('kubectl', [...args], {
        timeout: 60_000,
        ...(input === undefined ? {} : { input }),
      })
      return stdout
    },
    async tryKubectl(args) {
      const { all } = await execa('kubectl', [...args], { timeout: 60_000, all: true, reject: false })
      return all ?? ''
    },
  }
}
