// The tools pod: an artifact server and a measuring client beside the pods under test, reachable on any cluster.
// Runs by Node's type stripping, from a ConfigMap (tools-pod.ts).
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createArtifacts, readBody } from './artifacts.ts'
import { ask } from './ask.ts'
import { type Load, startLoad } from './load.ts'
import { measure } from './measure.ts'
import type { Address, Fault, LoadRequest, MeasureRequest } from './protocol.ts'

const port = 8080
const artifacts = createArtifacts()
let load: Load | undefined

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://tools')
  const [, what = '', name = ''] = pathname.split('/')
  const route = `${request.method} ${what}`
  const body = async () => (await readBody(request)).toString()
  const send = (value: unknown) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  }
  if (what === 'artifacts') return artifacts.serve(name, request, response)
  if (route === 'PUT faults') {
    const fault: Fault = JSON.parse(await body())
    artifacts.setFault(name, fault)
    return send({})
  }
  if (route === 'DELETE faults') {
    artifacts.setFault(name, undefined)
    return send({})
  }
  if (route === 'GET counts') return send(artifacts.counts())
  if (route === 'GET healthz') return send({})
  if (route === 'POST ask') {
    const address: Address = JSON.parse(await body())
    return send(await ask(address))
  }
  if (route === 'POST measure') {
    const asked: MeasureRequest = JSON.parse(await body())
    return send(await measure(asked))
  }
  if (route === 'PUT load') {
    await load?.end()
    const asked: LoadRequest = JSON.parse(await body())
    load = startLoad(asked)
    return send({})
  }
  if (route === 'DELETE load' && load !== undefined) {
    const ended = await load.end()
    load = undefined
    return send(ended)
  }
  response.writeHead(404).end()
}

createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    console.error(error)
    if (!response.headersSent) response.writeHead(500)
    response.end(String(error))
  })
}).listen(port, () => console.log(`tools listen on ${port}`))

// tini is not in front of this process: without a handler PID 1 would ignore the signal.
process.on('SIGTERM', () => process.exit(0))
