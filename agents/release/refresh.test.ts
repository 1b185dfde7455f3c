import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createKeyring } from '@aether/verifier/keyring'
import { test } from 'tap'
import { readActivation, readCurrent } from './activate.ts'
import { refresh } from './refresh.ts'
import { createSigner, createWorld, digestOf, listTree, reasonOf, refuses } from './test-kit.ts'
import { release } from './test-tar.ts'

await test('a signed artifact becomes the release that current resolves to', async (t) => {
  const world = await createWorld(t)
  const target = world.publish(release('one'))
  const refreshed = await world.take(target)
  t.equal(readFileSync(join(world.layout.workspace, 'current/server.js'), 'utf8'), 'one')
  t.equal(await readCurrent(world.layout), target.digest)
  t.match(refreshed, {
    reused: false,
    bytes: release('one').length,
    warnings: [],
    activation: { id: 1, previous: null },
  })
  t.match(refreshed.keyId, /^[0-9a-f]{16}$/)
  t.strictSame(readdirSync(world.layout.staging), [])
  t.strictSame(await readActivation(world.layout), refreshed.activation)
})

await test('a digest that is on disk is activated again without a download', async (t) => {
  const world = await createWorld(t)
  const target = world.publish(release('one'))
  await world.take(target)
  const again = await world.take(target)
  t.match(again, {
    reused: true,
    bytes: release('one').length,
    activation: { id: 2, previous: target.digest },
  })
  t.equal(world.asked.length, 1)
})

await test('A, B and A again are three activations and two downloads', async (t) => {
  const world = await createWorld(t)
  const [a, b] = [world.publish(release('a')), world.publish(release('b'))]
  const activations = []
  for (const target of [a, b, a]) activations.push((await world.take(target)).activation)
  t.match(activations, [
    { id: 1, digest: a.digest, previous: null },
    { id: 2, digest: b.digest, previous: a.digest },
    { id: 3, digest: a.digest, previous: b.digest },
  ])
  t.equal(world.asked.length, 2)
  t.equal(readFileSync(join(world.layout.workspace, 'current/server.js'), 'utf8'), 'a')
})

await test('no byte is asked for before the signature holds', async (t) => {
  const world = await createWorld(t)
  const served = world.publish(release('old'))
  await world.take(served)
  const digest = digestOf(release('new'))
  world.routes.set('/new', release('new'))
  const stranger = createSigner()
  const { take, ask } = world

  await refuses(
    t,
    world,
    () => take(ask(digest, '/new', '')),
    'signature',
    'missing',
    /aether\.dev\/signature is missing/,
  )
  await refuses(
    t,
    world,
    () => take(ask(digest, '/new', 'abcd')),
    'signature',
    'malformed',
    /aether\.dev\/signature.*64 bytes/,
  )
  await refuses(t, world, () => take(ask(digest, '/new', 'dsse:e30')), 'signature', 'malformed', /DSSE/)
  await refuses(
    t,
    world,
    () => take(ask(digest, '/new', stranger.sign(digest))),
    'signature',
    'invalid',
    /sign this digest/,
  )
  const forgotten = ask(digest, '/new', served.signature)
  await refuses(t, world, () => take(forgotten), 'signature', 'invalid')
  await refuses(t, world, () => take(forgotten, served), 'signature', 'stale', /still the one of sha256:.*one annotate/)
  const noKey = { policy: { requireSignature: true, keyring: undefined } }
  await refuses(t, world, () => take(ask(digest, '/new'), served, noKey), 'key', 'missing', /AETHER_PUBKEY/)
  const lostKey = { policy: { requireSignature: true, keyring: createKeyring('/nowhere/keys', 'AETHER_PUBKEY') } }
  await refuses(t, world, () => take(ask(digest, '/new'), served, lostKey), 'key', 'unreadable', /Secret/)
  t.equal(world.asked.length, 1, 'the first refresh alone asked the server')
})

await test('without a required signature a target is taken with a warning, and a signature that is there must hold', async (t) => {
  const world = await createWorld(t)
  const bytes = release('dev')
  world.routes.set('/dev', bytes)
  const lax = { policy: { ...world.options.policy, requireSignature: false } }
  const { warnings, keyId } = await world.take(world.ask(digestOf(bytes), '/dev', ''), undefined, lax)
  t.match(warnings, [/AETHER_REQUIRE_SIGNATURE=false/])
  t.equal(keyId, undefined)
  const forged = world.ask(digestOf(bytes), '/dev', createSigner().sign(digestOf(bytes)))
  await refuses(t, world, () => world.take(forged, undefined, lax), 'signature', 'invalid')
})

await test('bytes with another digest are refused, and named stale where they are the artifact before', async (t) => {
  const world = await createWorld(t)
  const served = world.publish(release('old'))
  await world.take(served)
  const digest = digestOf(release('new'))
  await refuses(
    t,
    world,
    () => world.take(world.ask(digest, served.artifactUrl), served),
    'checksum',
    'stale',
    /one annotate/,
  )
  world.routes.set('/other', release('other'))
  await refuses(
    t,
    world,
    () => world.take(world.ask(digest, '/other'), served),
    'checksum',
    'mismatch',
    /served \d+ bytes/,
  )
  world.routes.set('/text', Buffer.from('<html>a login page</html>'))
  await refuses(t, world, () => world.take(world.ask(digest, '/text')), 'checksum', 'mismatch')
})

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

await test('a refresh that is called off leaves everything as it was', async (t) => {
  const world = await createWorld(t)
  await world.take(world.publish(release('old')))
  const before = listTree(world.root)
  const stop = new AbortController()
  world.routes.set('/slow', (_, response) => {
    response.write(release('new').subarray(0, 40))
    setImmediate(() => stop.abort())
  })
  await t.rejects(refresh(world.ask(digestOf(release('new')), '/slow'), world.options, stop.signal), {
    name: 'AbortError',
  })
  t.strictSame(listTree(world.root), before)
})

await test('after every failure the next good target is taken', async (t) => {
  const world = await createWorld(t)
  const bytes = release('at last')
  const digest = digestOf(bytes)
  t.equal((await reasonOf(world.take(world.ask(digest, '/late')))).detail, 'not_found')
  world.routes.set('/late', bytes.subarray(0, -1))
  t.equal((await reasonOf(world.take(world.ask(digest, '/late')))).detail, 'mismatch')
  world.routes.set('/late', bytes)
  t.match(await world.take(world.ask(digest, '/late')), { activation: { id: 1 } })
})
