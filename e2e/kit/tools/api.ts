// The two calls that the tools pod makes to the API server, with its own service account.
import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'

const credentials = '/var/run/secrets/kubernetes.io/serviceaccount'

export async function openPodApi() {
  const read = async (name: string) => (await readFile(`${credentials}/${name}`, 'utf8')).trim()
  const [token, ca, namespace] = await Promise.all([read('token'), read('ca.crt'), read('namespace')])
  const agent = new Agent({ keepAlive: true, ca })

  function call(method: string, pod: string, body?: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: process.env.KUBERNETES_SERVICE_HOST,
          port: process.env.KUBERNETES_SERVICE_PORT,
          path: `/api/v1/namespaces/${namespace}/pods/${pod}`,
          method,
          agent,
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/merge-patch+json' },
        },
        (response) => {
          response.resume()
          response.on('end', () => {
            if (response.statusCode === 200) resolve()
            else reject(new Error(`${method} of pod ${pod}: the API server answers ${response.statusCode}`))
          })
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  }
  return {
    get: (pod: string) => call('GET', pod),
    annotate: (pod: string, annotations: Readonly<Record<string, string>>) =>
      call('PATCH', pod, JSON.stringify({ metadata: { annotations } })),
    close: () => agent.destroy(),
  }
}
