// What runs the apps. The client of Kubernetes takes memory and time, so it is loaded only where it is wanted.
import type { Log } from '@aether/runtime/log'
import { createLocalCluster } from './cluster/local.ts'
import type { ControlConfig } from './config.ts'
import type { Cluster, Store } from './domain/ports.ts'

const localIntervalMs = 2000

export async function openCluster(
  config: ControlConfig,
  store: Pick<Store, 'setAgentToken'>,
  log: Pick<Log, 'warn'>,
): Promise<Cluster> {
  if (config.cluster === 'none') {
    const { targetsDir: folder } = config
    return createLocalCluster({ folder, setAgentToken: store.setAgentToken, intervalMs: localIntervalMs })
  }
  const { createKubernetesCluster } = await import('./cluster/kubernetes.ts')
  const { images } = config
  return createKubernetesCluster({
    kubeconfig: config.kubeconfig,
    namespace: config.allNamespaces ? null : config.namespace,
    log,
    pods: {
      agentImage: images.agent,
      fetchImage: images.fetch,
      nodejsImage: images.nodejs,
      controlUrl: config.publicUrl,
      fetchMode: config.podFetchMode,
      keysSecret: config.keysSecret,
      developmentEnvironments: config.developmentEnvironments,
    },
  })
}
