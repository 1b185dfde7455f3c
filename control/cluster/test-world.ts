// For tests: the adapter of a cluster before an API server that does as it is told, with one app in it.
import { eventually } from '@aether/runtime/test-process'
import { type Test } from 'tap'
import { createKubernetesCluster } from './kubernetes.ts'
import { createApp, createTestApiServer } from './test-api-server.ts'

export const ref = { namespace: 'shop', app: 'cart' }
export const target = { digest: 'sha256:1', artifactUrl: 'http://a/1', signature: null, commit: null }
export const spec = {
  ...ref,
  environment: 'test',
  replicas: 1,
  devHot: true,
  port: 8080,
  readyPath: null,
  env: {},
}

export async function createWorld(t: Test, silenceMs = 60_000) {
  const server = await createTestApiServer(t)
  const cart = createApp('cart', 'one')
  server.lists.set('deployments', [cart.deployment]).set('replicasets', [cart.set]).set('pods', [cart.pod])
  const changes: string[] = []
  const cluster = createKubernetesCluster({
    kubeconfig: server.kubeconfig,
    namespace: 'shop',
    pods: {
      agentImage: 'a',
      nodejsImage: 'n',
      controlUrl: 'http://control',
      fetchMode: 'watch',
      keysSecret: 'keys',
      developmentEnvironments: new Set(),
    },
    log: { warn() {} },
    times: { silenceMs, shortestPauseMs: 10, longestPauseMs: 100 },
  })
  t.teardown(() => cluster.stop())
  const lists = (of = 'pods') =>
    server.asked.filter(({ path, query }) => path.endsWith(`/${of}`) && !query.has('watch')).length
  const watching = () =>
    eventually('three watches', () => ['pods', 'replicasets', 'deployments'].every((one) => server.watches(one) === 1))
  return {
    server,
    cluster,
    changes,
    lists,
    watching,
    async begin() {
      await cluster.start(({ app }) => changes.push(app))
      await watching()
      await eventually('the app told', () => changes.includes('cart'))
      changes.length = 0
    },
    digest: () => cluster.view(ref)?.target.digest,
    /** Puts the app into the lists with another digest; the watches say nothing of it. */
    change(digest: string, version: string) {
      const next = createApp('cart', digest, version)
      server.lists.set('deployments', [next.deployment]).set('pods', [next.pod])
      return next
    },
  }
}
