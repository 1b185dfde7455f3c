// The same by @kubernetes/client-node: its informer, as its own examples have it. argv: URL, folder of credentials.
import { join } from 'node:path'
import { CoreV1Api, KubeConfig, makeInformer } from '@kubernetes/client-node'

const [server = '', folder = ''] = process.argv.slice(2)
const config = new KubeConfig()
config.loadFromOptions({
  clusters: [{ name: 'c', server, caFile: join(folder, 'ca.crt'), skipTLSVerify: false }],
  users: [{ name: 'u', authProvider: { name: 'tokenFile', config: { tokenFile: join(folder, 'token') } } }],
  contexts: [{ name: 'x', cluster: 'c', user: 'u' }],
  currentContext: 'x',
})
const core = config.makeApiClient(CoreV1Api)
const informer = makeInformer(config, '/api/v1/namespaces/bench/pods', () =>
  core.listNamespacedPod({ namespace: 'bench' }),
)
informer.on('connect', () => console.log('ready'))
await informer.start()
