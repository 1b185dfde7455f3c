// For tests: an API server on loopback that can be told to fail as the real one will not on demand. What it does when it
// does not fail is held against the real one by kubernetes.cluster.test.ts, which makes the same calls there.
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { testFolder } from '@aether/runtime/test-process'
import type { Test } from 'tap'

export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface Asked {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly token: string
  readonly body: string
}

export interface TestApiServer {
  readonly kubeconfig: string
  readonly asked: Asked[]
  /** Connections made so far. */
  readonly connections: () => number
  /** What lists answer, by collection: deployments, replicasets, pods. */
  readonly lists: Map<string, unknown[]>
  /** Asked before anything else; an answer here is the answer. */
  refuse: (asked: Asked) => Answer | 'cut' | undefined
  /** Sends a line to each watch of the collection that is open. */
  send(collection: string, event: object): void
  /** Ends them without a word. */
  cut(): void
  /** Open watches of the collection. */
  watches(collection: string): number
  setToken(token: string): void
  /** Not listening, all connections gone. */
  leave(): Promise<void>
  comeBack(): Promise<void>
}

export async function createTestApiServer(t: Test): Promise<TestApiServer> {
  const folder = testFolder(t, { token: 'first' })
  const watches = new Map<ServerResponse, string>()
  const asked: Asked[] = []
  let connections = 0
  let port = 0

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://localhost')
    let body = ''
    for await (const piece of request.setEncoding('utf8')) body += String(piece)
    const token = (request.headers.authorization ?? '').replace('Bearer ', '')
    const one = { method: request.method ?? '', path: url.pathname, query: url.searchParams, token, body }
    asked.push(one)
    const refused = self.refuse(one)
    if (refused === 'cut') return void response.destroy()
    if (refused !== undefined) return json(response, refused.status, refused.body)
    const collection = url.pathname.split('/').at(-1) ?? ''
    const items = self.lists.get(collection)
    if (items === undefined) return json(response, 404, status(404, `${url.pathname} not found`))
    if (url.searchParams.get('watch') === null)
      return json(response, 200, { metadata: { resourceVersion: '100' }, items })
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
    watches.set(response, collection)
    response.on('close', () => watches.delete(response))
  }

  const server = createServer((request, response) => void answer(request, response)).on(
    'connection',
    () => connections++,
  )
  const listen = () => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const leave = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  await listen()
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('no port')
  port = address.port
  t.teardown(leave)
  const kubeconfig = join(folder, 'kubeconfig')
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'test', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
      users: [
        {
          name: 'test',
          user: { 'auth-provider': { name: 'tokenFile', config: { tokenFile: join(folder, 'token') } } },
        },
      ],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      'current-context': 'test',
    }),
  )
  const self: TestApiServer = {
    kubeconfig,
    asked,
    connections: () => connections,
    lists: new Map([
      ['deployments', []],
      ['replicasets', []],
      ['pods', []],
    ]),
    refuse: () => undefined,
    send(collection, event) {
      for (const [response, of] of watches) if (of === collection) response.write(`${JSON.stringify(event)}\n`)
    },
    cut() {
      for (const response of watches.keys()) response.destroy()
    },
    watches: (collection) => [...watches.values()].filter((of) => of === collection).length,
    setToken: (token) => writeFileSync(join(folder, 'token'), token),
    leave,
    comeBack: listen,
  }
  return self
}

function json(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

export function status(code: number, message: string) {
  return { apiVersion: 'v1', kind: 'Status', status: 'Failure', message, code }
}

/** One app of one pod, as the API server shows it. */
export function createApp(name: string, digest: string, version = '1') {
  const labels = { 'aether.dev/app': name }
  const metadata = (kind: string, owner?: { readonly kind: string; readonly uid: string }) => ({
    uid: `${kind}-${name}`,
    name: kind === 'deployment' ? name : `${name}-${kind}`,
    namespace: 'shop',
    resourceVersion: version,
    labels,
    annotations: { 'aether.dev/digest': digest, 'deployment.kubernetes.io/revision': '1' },
    ownerReferences: owner && [{ apiVersion: 'apps/v1', ...owner, name: `${name}-set`, controller: true }],
  })
  const deployment = {
    metadata: { ...metadata('deployment'), generation: 1 },
    spec: { replicas: 1, template: { metadata: { labels } } },
    status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, conditions: [] },
  }
  const set = { metadata: metadata('set', { kind: 'Deployment', uid: deployment.metadata.uid }) }
  const pod = {
    metadata: metadata('pod', { kind: 'ReplicaSet', uid: set.metadata.uid }),
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  }
  return { deployment, set, pod }
}

/** Unsigned: what is inside is all that is read before a review. */
export function createToken(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none' })}.${part(claims)}.c2lnbmF0dXJl`
}
