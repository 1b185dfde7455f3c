import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDevelopmentPair, parseDevelopmentKey, signForDevelopment } from '@aether/artifact/sign'
import { createKeyring } from '@aether/verifier/keyring'
import { test } from 'tap'
import { readActivation, readCurrent } from './activate.ts'
import { type RefreshOptions, refresh } from './refresh.ts'
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
  const noKey = { policy: { requireSignature: true, takesDevelopment: false, keyring: undefined } }
  await refuses(t, world, () => take(ask(digest, '/new'), served, noKey), 'key', 'missing', /AETHER_PUBKEY/)
  const lostKey = {
    policy: {
      requireSignature: true,
      takesDevelopment: false,
      keyring: createKeyring('/nowhere/keys', 'AETHER_PUBKEY'),
    },
  }
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

await test('a production policy refuses the signature of a development key, whatever keys are in force', async (t) => {
  const world = await createWorld(t)
  const bytes = release('dev')
  const digest = digestOf(bytes)
  world.routes.set('/dev', bytes)
  const { privatePem, publicPem } = createDevelopmentPair()
  const key = parseDevelopmentKey(privatePem)
  const target = world.ask(digest, '/dev', signForDevelopment(digest, key))
  const trusting = (more: Partial<RefreshOptions['policy']> = {}) => ({
    policy: { ...world.options.policy, keyring: createKeyring(publicPem, 'AETHER_PUBKEY'), ...more },
  })
  await refuses(
    t,
    world,
    () => world.take(target, undefined, trusting()),
    'signature',
    'development',
    /development key/,
  )
  const lax = trusting({ requireSignature: false })
  await refuses(t, world, () => world.take(target, undefined, lax), 'signature', 'development')
  // Nor does it stand for a release's own, without its prefix.
  const bare = world.ask(digest, '/dev', signForDevelopment(digest, key).replace('dev:', ''))
  const development = trusting({ takesDevelopment: true })
  await refuses(t, world, () => world.take(bare, undefined, development), 'signature', 'invalid')
  await refuses(
    t,
    world,
    () => world.take(target, undefined, { policy: { ...world.options.policy, takesDevelopment: true } }),
    'signature',
    'invalid',
  )
  t.equal(world.asked.length, 0, 'nothing was downloaded')
  t.match(await world.take(target, undefined, development), { keyId: /^[0-9a-f]{16}$/, warnings: [] })
})

await test('a development signature counts as none where no key is there and none is required', async (t) => {
  const world = await createWorld(t)
  const bytes = release('dev')
  world.routes.set('/dev', bytes)
  const key = parseDevelopmentKey(createDevelopmentPair().privatePem)
  const target = world.ask(digestOf(bytes), '/dev', signForDevelopment(digestOf(bytes), key))
  const keyring = createKeyring(world.layout.staging, 'AETHER_PUBKEY')
  const policy = { requireSignature: true, takesDevelopment: true, keyring }
  await refuses(t, world, () => world.take(target, undefined, { policy }), 'key', 'missing')
  const { warnings, keyId } = await world.take(target, undefined, { policy: { ...policy, requireSignature: false } })
  t.match(warnings, [/AETHER_REQUIRE_SIGNATURE=false/])
  t.equal(keyId, undefined)
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
