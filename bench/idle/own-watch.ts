// A watch on one pod by the fetcher's own code, and nothing else: what docs/adr/0009 compares. argv: URL, folder of credentials.
import { createApiServer } from '@aether/fetcher/api-server'
import { createPodApi } from '@aether/fetcher/pod-api'

const [url = '', credentialsDir = ''] = process.argv.slice(2)
const api = createPodApi(createApiServer({ url, credentialsDir }), { name: 'pod', namespace: 'bench' })
const { signal } = new AbortController()
const { resourceVersion } = await api.get(signal)
const watching = api.watch(resourceVersion, { onPod() {}, onContact: () => console.log('ready') }, signal)
await watching
