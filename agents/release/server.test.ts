// Servers that fail, drip, are busy or send elsewhere.
import type { ServerResponse } from 'node:http'
import { test } from 'tap'
import { createWorld, digestOf, reasonOf, refuses } from './test-kit.ts'
import { release } from './test-tar.ts'

await test('a server that fails is a download failure of its own kind', async (t) => {
  const world = await createWorld(t, { maxArtifactBytes: 100_000, idleMs: 300 })
  await world.take(world.publish(release('old')))
  const bytes = release('new')
  const digest = digestOf(bytes)
  const { routes } = world
  const get = (path: string) => () => world.take(world.ask(digest, path))
  for (const status of [401, 403, 500, 503, 204, 304])
    routes.set(`/${status}`, (_, response) => response.writeHead(status).end())
  await refuses(t, world, get('/404'), 'download', 'not_found', /404: publish the artifact/)
  await refuses(t, world, get('/401'), 'download', 'forbidden')
  await refuses(t, world, get('/403'), 'download', 'forbidden', /no right/)
  await refuses(t, world, get('/500'), 'download', 'http_status', /answers 500/)
  await refuses(t, world, get('/503'), 'download', 'http_status')
  await refuses(t, world, get('/204'), 'download', 'http_status')
  await refuses(t, world, get('/304'), 'download', 'http_status')
  await refuses(
    t,
    world,
    get('http://127.0.0.1:1/x?token=secret'),
    'download',
    'unreachable',
    /^(?!.*secret).*127\.0\.0\.1:1/,
  )
  await refuses(t, world, get('http://no-such-host.invalid/x'), 'download', 'unreachable')

  routes.set('/short', (_, response) => {
    response.writeHead(200, { 'content-length': bytes.length + 10 })
    response.write(bytes, () => response.destroy())
  })
  await refuses(t, world, get('/short'), 'download', 'truncated', /broke off/)
  routes.set('/chunked', (_, response) => {
    response.write(bytes.subarray(0, 50), () => response.destroy())
  })
  await refuses(t, world, get('/chunked'), 'download', 'truncated')
  routes.set('/mute', () => {})
  await refuses(t, world, get('/mute'), 'download', 'timeout', /300 ms/)
  routes.set('/stalls', (_, response) => void response.write(bytes.subarray(0, 50)))
  await refuses(t, world, get('/stalls'), 'download', 'timeout')

  routes.set('/claims', (_, response) => response.writeHead(200, { 'content-length': 100_001 }).write('x'))
  await refuses(t, world, get('/claims'), 'download', 'too_large', /AETHER_MAX_ARTIFACT_BYTES/)
  routes.set('/endless', (_, response) => {
    const more = setInterval(() => response.write(Buffer.alloc(16_384)), 1)
    response.on('close', () => clearInterval(more))
  })
  await refuses(t, world, get('/endless'), 'download', 'too_large')
})

await test('a server that drips is ended by the total limit', async (t) => {
  const world = await createWorld(t, { totalMs: 400 })
  world.routes.set('/drips', (_, response) => {
    const drip = setInterval(() => response.write('x'), 20)
    response.on('close', () => clearInterval(drip))
  })
  await refuses(t, world, () => world.take(world.ask(digestOf(release('x')), '/drips')), 'download', 'timeout')
})

await test('a server that drips is ended by the least rate too, and one that is fast enough is not', async (t) => {
  const bytes = release('slowly')
  const drip = (response: ServerResponse) => {
    let at = 0
    const timer = setInterval(() => {
      response.write(bytes.subarray(at, ++at))
      if (at >= bytes.length) response.end()
    }, 5)
    response.on('close', () => clearInterval(timer))
  }
  const slow = await createWorld(t, { rateWindowMs: 200, minBytesPerSec: 10_000 })
  slow.routes.set('/drips', (_, response) => drip(response))
  const { ask, take } = slow
  await refuses(t, slow, () => take(ask(digestOf(bytes), '/drips')), 'download', 'too_slow', /MIN_BYTES_PER_SEC/)
  const patient = await createWorld(t, { rateWindowMs: 200, minBytesPerSec: 1 })
  patient.routes.set('/drips', (_, response) => drip(response))
  t.match(await patient.take(patient.ask(digestOf(bytes), '/drips')), { bytes: bytes.length })
})

await test('a busy server says when to come again, up to a minute', async (t) => {
  const world = await createWorld(t)
  const digest = digestOf(release('later'))
  const cases = [
    [429, '7', 7000],
    [503, '3600', 60_000],
    [503, 'soon', undefined],
    [500, '7', undefined],
  ] as const
  for (const [status, header, retryAfterMs] of cases) {
    world.routes.set('/busy', (_, response) => response.writeHead(status, { 'retry-after': header }).end())
    const error = await reasonOf(world.take(world.ask(digest, '/busy')))
    t.same([error.detail, error.retryAfterMs], ['http_status', retryAfterMs])
  }
})

await test('a redirect that has run out is asked for once more', async (t) => {
  const world = await createWorld(t)
  const bytes = release('presigned')
  let made = 0
  world.routes.set('/start', (_, response) => response.writeHead(302, { location: `/signed?${++made}` }).end())
  world.routes.set('/signed', (request, response) => {
    if (request.url === '/signed?2') response.end(bytes)
    else response.writeHead(403).end()
  })
  t.match(await world.take(world.ask(digestOf(bytes), '/start')), { reused: false })
  const again = () => world.take(world.ask(digestOf(release('other')), '/start'))
  await refuses(t, world, again, 'download', 'forbidden')
  t.equal(made, 4)
})

await test('redirects are followed five times, each to http(s) without credentials', async (t) => {
  const world = await createWorld(t)
  const bytes = release('moved')
  const { routes, take, ask } = world
  const redirect = (from: string, to: string, status = 302) =>
    routes.set(from, (_, response) => response.writeHead(status, { location: to }).end('moved'))
  routes.set('/hop0', bytes)
  for (let hop = 1; hop <= 6; hop++)
    redirect(`/hop${hop}`, hop % 2 === 0 ? `/hop${hop - 1}` : world.url(`/hop${hop - 1}`), 307)
  t.match(await take(ask(digestOf(bytes), '/hop5')), { reused: false })
  const digest = digestOf(release('elsewhere'))
  await refuses(t, world, () => take(ask(digest, '/hop6')), 'download', 'redirect', /more than 5/)
  redirect('/file', 'file:///etc/passwd')
  await refuses(t, world, () => take(ask(digest, '/file')), 'download', 'redirect', /file:/)
  redirect('/login', 'http://user:hunter2@127.0.0.1/x')
  await refuses(t, world, () => take(ask(digest, '/login')), 'download', 'redirect', /^(?!.*hunter2).*credentials/)
  redirect('/nonsense', 'http://[')
  await refuses(t, world, () => take(ask(digest, '/nonsense')), 'download', 'redirect')
  routes.set('/nowhere', (_, response) => response.writeHead(302).end())
  await refuses(t, world, () => take(ask(digest, '/nowhere')), 'download', 'http_status')
})
