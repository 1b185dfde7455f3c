// The tools pod from this side, reached through `kubectl proxy` and the API server, so that no port has to be open.
import { readFile } from 'node:fs/promises'
import { execa } from 'execa'
import type { Cluster } from './cluster.ts'
import type { Address, Answer, Fault, Loaded, LoadRequest, Measured, MeasureRequest } from './tools/protocol.ts'
import { toolsObjects, toolsPort } from './tools-manifest.ts'
import { until } from './until.ts'

export interface Tools {
  /** The artifact's URL, as pods reach it. */
  url(name: string): string
  put(name: string, file: string): Promise<void>
  setFault(name: string, fault: Fault): Promise<void>
  clearFault(name: string): Promise<void>
  counts(): Promise<Readonly<Record<string, number>>>
  ask(address: Address): Promise<Answer>
  measure(request: MeasureRequest): Promise<Measured>
  /** Until `endLoad`; a second one ends the first. */
  startLoad(request: LoadRequest): Promise<void>
  endLoad(): Promise<Loaded>
  close(): void
}

export async function startTools(cluster: Cluster, namespace: string, image: string): Promise<Tools> {
  const list = { apiVersion: 'v1', kind: 'List', items: toolsObjects(image) }
  await cluster.kubectl(['apply', '-n', namespace, '-f', '-'], JSON.stringify(list))
  await cluster.kubectl(['wait', '-n', namespace, '--for=condition=Ready', 'pod/tools', '--timeout=60s'])
  const proxy = await startProxy()
  const base = `${proxy.origin}/api/v1/namespaces/${namespace}/pods/tools:${toolsPort}/proxy`

  async function call(method: string, path: string, body?: string | Uint8Array<ArrayBuffer>): Promise<string> {
    const response = await fetch(`${base}/${path}`, { method, ...(body === undefined ? {} : { body }) })
    const text = await response.text()
    if (!response.ok) throw new Error(`tools: ${method} ${path} answers ${response.status}: ${text.slice(0, 500)}`)
    return text
  }
  return {
    url: (name) => `http://tools.${namespace}.svc:${toolsPort}/artifacts/${name}`,
    async put(name, file) {
      await call('PUT', `artifacts/${name}`, new Uint8Array(await readFile(file)))
    },
    async setFault(name, fault) {
      await call('PUT', `faults/${name}`, JSON.stringify(fault))
    },
    async clearFault(name) {
      await call('DELETE', `faults/${name}`)
    },
    async counts() {
      const counts: Record<string, number> = JSON.parse(await call('GET', 'counts'))
      return counts
    },
    async ask(address) {
      const answer: Answer = JSON.parse(await call('POST', 'ask', JSON.stringify(address)))
      return answer
    },
    async measure(request) {
      const measured: Measured = JSON.parse(await call('POST', 'measure', JSON.stringify(request)))
      return measured
    },
    async startLoad(request) {
      await call('PUT', 'load', JSON.stringify(request))
    },
    async endLoad() {
      const loaded: Loaded = JSON.parse(await call('DELETE', 'load'))
      return loaded
    },
    close: proxy.close,
  }
}

/** kubectl knows every way to log in to a cluster; its proxy lends that to plain HTTP on loopback. */
async function startProxy(): Promise<{ readonly origin: string; close(): void }> {
  const child = execa('kubectl', ['proxy', '--port=0', '--address=127.0.0.1'], { reject: false, buffer: false })
  let said = ''
  child.stdout.on('data', (piece: Buffer) => {
    said += piece.toString()
  })
  const port = await until('the port that kubectl proxy serves on', async () => /127\.0\.0\.1:(\d+)/.exec(said)?.[1])
  return { origin: `http://127.0.0.1:${port}`, close: () => void child.kill() }
}
