// Whose signature makes an artifact of a tree, and where it counts.
import {
  createDevelopmentPair,
  createSigningPair,
  parseDevelopmentKey,
  signDigest,
  signForDevelopment,
} from '@aether/artifact/sign'
import { digestFromHex } from '@aether/contract/digest'
import { test } from 'tap'
import { openControl } from '../test-kit.ts'
import { packOf, register, sendPack, treeOf } from '../test-trees.ts'

const first = await treeOf({ 'server.js': 'console.log(1)\n' })
const second = await treeOf({ 'server.js': 'console.log(2)\n' })

await test('a tree is signed as an archive is', async (t) => {
  const { ask, app } = await openControl(t)
  const keys = createSigningPair()
  t.equal((await ask('POST', `/apps/${app}/public-keys`, { body: { key: keys.publicPem } })).status, 201)
  await sendPack(ask, app, await packOf(first))
  t.match(await register(ask, app, first), { status: 422, json: { code: 'signature_required' } })
  const signature = signDigest(digestFromHex(second.digest), keys.privateKey)
  t.match(await register(ask, app, first, { signature }), { status: 422, json: { code: 'bad_signature' } })
  const signed = signDigest(digestFromHex(first.digest), keys.privateKey)
  t.match(await register(ask, app, first, { signature: signed }), { status: 201, json: { signature: signed } })
})

await test('what a development key signed runs in its environments, and nowhere else until a release is made of it', async (t) => {
  const { ask, app } = await openControl(t)
  const [releases, development] = [createSigningPair(), createDevelopmentPair()]
  const key = parseDevelopmentKey(development.privatePem)
  const digest = digestFromHex(first.digest)
  const signature = signForDevelopment(digest, key)
  const addKey = (text: string, more = {}) => ask('POST', `/apps/${app}/public-keys`, { body: { key: text, ...more } })
  await sendPack(ask, app, await packOf(first))
  t.equal((await addKey(releases.publicPem)).status, 201)
  t.match(await register(ask, app, first, { signature }), { status: 422, json: { code: 'bad_signature' } })
  t.match(await addKey(releases.publicPem, { is_development: true }), { status: 409, json: { code: 'conflict' } })
  t.match(await addKey(development.publicPem, { is_development: true }), {
    status: 201,
    json: { is_development: true },
  })
  const asRelease = { signature: signDigest(digest, key) }
  t.match(
    await register(ask, app, first, asRelease),
    { status: 422, json: { code: 'bad_signature' } },
    'it signs no release',
  )
  const asDevelopment = { signature: signForDevelopment(digest, releases.privateKey) }
  t.match(await register(ask, app, first, asDevelopment), { status: 422, json: { code: 'bad_signature' } })
  t.match(await register(ask, app, first, { signature }), {
    status: 201,
    json: { signature: null, key_id: null, development_signature: signature, development_key_id: /^[0-9a-f]{16}$/ },
  })

  const create = (environment: string, namespace = 'default') =>
    ask('POST', '/deployments', { as: 'deployer', body: { app, environment, namespace, digest, dev_hot: true } })
  t.match(await create('production'), { status: 422, json: { code: 'development_only', field: 'body.digest' } })
  const made = await create('development')
  t.equal(made.status, 201)
  t.match(await ask('GET', '/pods/self/target', { as: 'agent' }), { status: 200, json: { signature } })

  const released = signDigest(digest, releases.privateKey)
  t.match(await register(ask, app, first, { signature: released }), {
    json: { signature: released, development_signature: null },
  })
  t.match(await ask('GET', '/pods/self/target', { as: 'agent' }), { json: { signature: released } })
})
