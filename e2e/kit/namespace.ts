// A namespace for one scenario, taken away at the end whatever happened.
import { randomBytes } from 'node:crypto'
import { execaSync } from 'execa'
import type { Cluster } from './cluster.ts'
import { until } from './until.ts'

export interface Namespace {
  readonly name: string
  remove(): Promise<void>
}

const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
const living = new Set<string>()

/** Under the policy `restricted`, so that a pod of ours that asks for more is refused here and not at a user's. */
export async function createNamespace(cluster: Cluster, scenario: string): Promise<Namespace> {
  const slug = scenario
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 30)
    .replace(/-$/, '')
  const name = `aether-e2e-${slug}-${randomBytes(3).toString('hex')}`
  const labels = { 'aether.dev/e2e': slug, 'pod-security.kubernetes.io/enforce': 'restricted' }
  await cluster.core.createNamespace({ body: { metadata: { name, labels } } })
  if (living.size === 0) for (const signal of signals) process.on(signal, removeAll)
  living.add(name)
  return {
    name,
    async remove() {
      living.delete(name)
      if (living.size === 0) for (const signal of signals) process.off(signal, removeAll)
      await cluster.core.deleteNamespace({ name })
      // The next scenario shall not share the machine with this one's pods.
      await until(`the end of the pods of ${name}`, async () => {
        const { items } = await cluster.core.listNamespacedPod({ namespace: name })
        return items.length === 0 ? true : undefined
      })
    },
  }
}

/** The runner ends what takes too long by a signal; there is time for one short command then. */
function removeAll(): void {
  execaSync('kubectl', ['delete', 'namespace', ...living, '--wait=false'], { reject: false })
  process.exit(1)
}
