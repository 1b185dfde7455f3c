// Against a server that speaks the API server's words; e2e/events.e2e.ts asks a real one.
import { createServer } from 'node:http'
import { refusal } from '@aether/contract/reasons'
import type { Log } from '@aether/runtime/log'
import { createRegistry } from '@aether/runtime/metrics'
import { eventually } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { createApiServer } from './api-server.ts'
import { recordEvents } from './events.ts'
import { createObserver } from './observe.ts'

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, marker: () => {} }
const state = { failures: 1, reported: 0, lastDigest: null, served: {}, refused: null, failed: null }

async function createWorld(t: Test, status: number) {
  const root = t.testdir({ token: 'mine' })
  const asked: { readonly path: string | undefined; readonly token: string | undefined; readonly body: unknown }[] = []
  const server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
    })
    request.on('end', () => {
      asked.push({ path: request.url, token: request.headers.authorization, body: JSON.parse(text) })
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('no port')
  const api = createApiServer({ url: `http://127.0.0.1:${address.port}`, credentialsDir: root })
  const pod = { name: 'hello-1', namespace: 'shop', uid: 'u-1' }
  const observer = recordEvents(createObserver('shop', createRegistry(), quiet), api, pod, quiet)
  const fail = () => observer.fail(refusal('download', 'not_found', 'x answers 404'), undefined, 12, state)
  return { asked, fail }
}

await test('a failure becomes a warning about the own pod, with the pod’s token', async (t) => {
  const world = await createWorld(t, 201)
  world.fail()
  await eventually('the event', () => world.asked.length === 1)
  t.match(world.asked[0], {
    path: '/api/v1/namespaces/shop/events',
    token: 'Bearer mine',
    body: {
      type: 'Warning',
      reason: 'RefreshFail',
      message: 'download: x answers 404',
      involvedObject: { kind: 'Pod', name: 'hello-1', namespace: 'shop', uid: 'u-1' },
    },
  })
})

await test('where events are refused none is tried again, and the outcome is told all the same', async (t) => {
  const world = await createWorld(t, 403)
  world.fail()
  await eventually('the event', () => world.asked.length === 1)
  await new Promise((resolve) => setTimeout(resolve, 50))
  world.fail()
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.equal(world.asked.length, 1)
})
