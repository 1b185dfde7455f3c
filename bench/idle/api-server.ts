// An API server over TLS, with one pod that nobody changes. argv: a folder with key.pem and ca.crt; says its port.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'

const folder = process.argv[2] ?? '.'
const read = (name: string) => readFileSync(join(folder, name))
const metadata = { name: 'pod', namespace: 'bench', resourceVersion: '1', annotations: {} }
const list = {
  kind: 'PodList',
  apiVersion: 'v1',
  metadata: { resourceVersion: '1' },
  items: [{ kind: 'Pod', apiVersion: 'v1', metadata }],
}

const server = createServer({ key: read('key.pem'), cert: read('ca.crt') }, (request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  // A watch stays open, with nothing to tell.
  if (new URL(request.url ?? '', 'https://localhost').searchParams.has('watch')) response.flushHeaders()
  else response.end(JSON.stringify(list))
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address !== 'string') console.log(`port ${address.port}`)
})
