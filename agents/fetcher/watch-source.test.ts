// Mode `watch` against a server that speaks the API server's words and misbehaves on demand; e2e runs the same source
// against a real one.
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Log } from '@aether/runtime/log'
import { eventually } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { createApiServer } from './api-server.ts'
import type { Delivery } from './delivery.ts'
import { createPodApi } from './pod-api.ts'
import { createPollSource } from './poll-source.ts'
import { createWatchSource } from './watch-source.ts'

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, marker: () => {} }

/** One pod; a watch is handed to the test as its open response. */
async function createWorld(t: Test, silenceMs = 60_000) {
  const root = t.testdir({ token: 'first' })
  const asked: {
    readonly query: URLSearchParams
    readonly headers: IncomingMessage['headers']
    readonly path: string
  }[] = []
  const watches: ServerResponse[] = []
  const delivered: Delivery[] = []
  let build = 0
  let refuse: { readonly status: number; readonly times: number } = { status: 0, times: 0 }
  const pod = () => ({
    metadata: {
      name: 'p',
      resourceVersion: String(100 + build),
      annotations: { 'aether.dev/build-time': String(build) },
    },
  })
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost')
    asked.push({ query: url.searchParams, headers: request.headers, path: url.pathname })
    if (refuse.times > 0) {
      refuse = { ...refuse, times: refuse.times - 1 }
      response
        .writeHead(refuse.status, { 'content-type': 'application/json' })
        .end(JSON.stringify({ kind: 'Status', code: refuse.status, message: 'no' }))
    } else if (url.searchParams.get('watch') === '1') {
      response.writeHead(200)
      response.flushHeaders()
      watches.push(response)
    } else response.end(JSON.stringify({ metadata: { resourceVersion: '200' }, items: [pod()] }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('no port')
  const api = createPodApi(createApiServer({ url: `http://127.0.0.1:${address.port}`, credentialsDir: root }), {
    name: 'p',
    namespace: 'n',
  })
  const source = createWatchSource({
    api,
    deliver: (delivery) => delivered.push(delivery),
    contact: () => {},
    log: quiet,
    silenceMs,
  })
  t.teardown(async () => {
    await source.stop()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  await source.start()
  return {
    asked,
    delivered,
    root,
    annotate: (number: number) => {
      build = number
    },
    refuseNext: (status: number, times: number) => {
      refuse = { status, times }
    },
    event: (type: string) => `${JSON.stringify({ type, object: pod() })}\n`,
    latest: () => delivered.at(-1)?.annotations['aether.dev/build-time'],
    async watch(count: number): Promise<ServerResponse> {
      await eventually(`watch ${count}`, () => watches.length >= count)
      const found = watches[count - 1]
      if (found === undefined) throw new Error('no watch')
      return found
    },
  }
}

await test('asks for the metadata of its own pod alone, and watches from the list on', async (t) => {
  const world = await createWorld(t)
  await world.watch(1)
  const [list, watch] = world.asked
  t.equal(list?.path, '/api/v1/namespaces/n/pods')
  t.equal(list?.query.get('fieldSelector'), 'metadata.name=p')
  t.match(list?.headers, { authorization: 'Bearer first', accept: /PartialObjectMetadataList/ })
  t.match(watch?.headers, { accept: /as=PartialObjectMetadata;/ })
  t.equal(watch?.query.get('resourceVersion'), '200')
  t.equal(watch?.query.get('allowWatchBookmarks'), 'true')
  t.equal(world.latest(), '0')
})

await test('events that come in pieces, together, and between bookmarks are read whole', async (t) => {
  const world = await createWorld(t)
  const watch = await world.watch(1)
  world.annotate(1)
  const text = world.event('MODIFIED')
  watch.write(text.slice(0, 20))
  await new Promise((resolve) => setTimeout(resolve, 30))
  watch.write(text.slice(20))
  await eventually('the first change', () => world.latest() === '1')
  world.annotate(2)
  const second = world.event('MODIFIED')
  world.annotate(3)
  watch.write(`${second}${world.event('BOOKMARK')}${world.event('MODIFIED')}`)
  await eventually('the last change', () => world.latest() === '3')
  t.same(
    world.delivered.map((one) => one.annotations['aether.dev/build-time']),
    ['0', '1', '2', '3'],
  )
})

await test('410 Gone as an event lists afresh, and a change that was missed is found', async (t) => {
  const world = await createWorld(t)
  const watch = await world.watch(1)
  world.annotate(7)
  watch.write(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old' } })}\n`)
  await world.watch(2)
  t.equal(world.latest(), '7')
  const lists = world.asked.filter((one) => one.query.get('watch') === null)
  t.equal(lists.length, 2)
  t.ok(
    lists.every((one) => one.query.get('resourceVersion') === null),
    'never from a version that may be stale',
  )
})

await test('410 Gone and other refusals as a status list afresh too', async (t) => {
  const world = await createWorld(t)
  const watch = await world.watch(1)
  world.annotate(8)
  world.refuseNext(410, 2)
  watch.end()
  await world.watch(2)
  t.equal(world.latest(), '8')
})

await test('a token that was replaced is read again after a 401', async (t) => {
  const world = await createWorld(t)
  const watch = await world.watch(1)
  writeFileSync(join(world.root, 'token'), 'second\n')
  world.refuseNext(401, 1)
  watch.destroy()
  await world.watch(2)
  t.equal(world.asked.at(-1)?.headers.authorization, 'Bearer second')
})

await test('a watch that goes silent is left by the watchdog', async (t) => {
  const world = await createWorld(t, 300)
  await world.watch(1)
  world.annotate(9)
  await world.watch(2)
  t.equal(world.latest(), '9')
})

await test('what is no JSON, and an object without metadata, end the watch and not the process', async (t) => {
  const world = await createWorld(t)
  ;(await world.watch(1)).write('<html>\n')
  ;(await world.watch(2)).write('{"type":"MODIFIED","object":{}}\n')
  await world.watch(3)
  t.equal(world.latest(), '0')
})

await test('mode poll asks at each interval, and a refusal ends nothing', async (t) => {
  const root = t.testdir({ token: 'first' })
  let build = 0
  let status = 200
  const server = createServer((_request, response) => {
    const metadata = { resourceVersion: '1', annotations: { 'aether.dev/build-time': String(build) } }
    response.writeHead(status).end(JSON.stringify({ metadata: {}, items: [{ metadata }] }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('no port')
  const seen: (string | undefined)[] = []
  let contacts = 0
  const source = createPollSource({
    api: createPodApi(createApiServer({ url: `http://127.0.0.1:${address.port}`, credentialsDir: root }), {
      name: 'p',
      namespace: 'n',
    }),
    intervalMs: 20,
    deliver: (delivery) => seen.push(delivery.annotations['aether.dev/build-time']),
    contact: () => contacts++,
    log: quiet,
  })
  t.teardown(async () => {
    await source.stop()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  await source.start()
  await eventually('the first answer', () => seen.at(-1) === '0')
  status = 503
  build = 1
  const before = contacts
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.ok(contacts - before <= 1, 'a refusal is no contact')
  status = 200
  await eventually('the change', () => seen.at(-1) === '1')
})
