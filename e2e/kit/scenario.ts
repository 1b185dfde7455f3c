// One scenario: a namespace of its own with keys and a tools pod, taken away at the end whatever happened.
import { randomBytes } from 'node:crypto'
import { createSigningPair, type SigningPair } from '@aether/artifact/sign'
import { execaSync } from 'execa'
import { type Test, test } from 'tap'
import { type Cluster, openCluster } from './cluster.ts'
import { type E2eConfig, loadConfig } from './config.ts'
import { showPods } from './show-pods.ts'
import { startTools, type Tools } from './tools-pod.ts'
import { until } from './until.ts'

export interface Scenario {
  readonly cluster: Cluster
  readonly config: E2eConfig
  readonly namespace: string
  /** For temporary files. */
  readonly folder: string
  readonly keys: SigningPair
  readonly tools: Tools
}

const limitMs = 300_000

export function runScenario(name: string, body: (t: Test, scenario: Scenario) => Promise<void>) {
  return test(name, { timeout: limitMs }, async (t) => {
    const config = loadConfig()
    const cluster = openCluster()
    const namespace = await createNamespace(t, cluster, name)
    const keys = createSigningPair()
    await cluster.core.createNamespacedSecret({
      namespace,
      body: { metadata: { name: 'aether-keys' }, stringData: { 'e2e.pem': keys.publicPem } },
    })
    const tools = await startTools(cluster, namespace, config.nodejsImage)
    t.teardown(() => tools.close())
    const folder = t.testdir()
    try {
      await body(t, { cluster, config, namespace, folder, keys, tools })
    } catch (error) {
      await showPods(t, cluster, namespace)
      throw error
    }
    if (!t.passing()) await showPods(t, cluster, namespace)
  })
}

/** Under the policy `restricted`, so that a pod of ours that asks for more is refused here and not at a user's. */
async function createNamespace(t: Test, cluster: Cluster, scenario: string): Promise<string> {
  const slug = scenario
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 30)
  const name = `aether-e2e-${slug}-${randomBytes(3).toString('hex')}`
  const labels = { 'aether.dev/e2e': slug, 'pod-security.kubernetes.io/enforce': 'restricted' }
  await cluster.core.createNamespace({ body: { metadata: { name, labels } } })
  // The runner ends a test that takes too long by a signal; there is time for one short command then.
  const onSignal = () => {
    execaSync('kubectl', ['delete', 'namespace', name, '--wait=false'], { reject: false })
    process.exit(1)
  }
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
  for (const signal of signals) process.once(signal, onSignal)
  t.teardown(async () => {
    for (const signal of signals) process.off(signal, onSignal)
    await cluster.core.deleteNamespace({ name })
    // The next scenario shall not share the machine with this one's pods.
    await until(`the end of the pods of ${name}`, async () => {
      const { items } = await cluster.core.listNamespacedPod({ namespace: name })
      return items.length === 0 ? true : undefined
    })
  })
  return name
}
