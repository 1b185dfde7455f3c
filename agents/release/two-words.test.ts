// node:crypto's word is enough to ask for bytes; noble's has to come before any of them is used (docs/adr/0022).
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Keyring } from '@aether/verifier/keyring'
import { parsePublicKeys } from '@aether/verifier/keys'
import { test } from 'tap'
import { releasePath } from './activate.ts'
import { prepareNext } from './background.ts'
import { createSigner, createWorld, refuses } from './test-kit.ts'
import { release } from './test-tar.ts'
import { deltaPath, publishTree } from './test-trees.ts'

const never = new AbortController().signal

/** No signature is known on which the two differ under a key that may be trusted: so a key whose halves are of two. */
function tornKeyring(forNode: string, forNoble: string): Keyring {
  const [node, noble] = [forNode, forNoble].map((pem) => parsePublicKeys(pem, 'key')[0])
  if (node === undefined || noble === undefined) throw new Error('two keys')
  return { load: () => Promise.resolve({ keys: [{ ...noble, keyObject: node.keyObject }], faults: [] }) }
}

await test('where node:crypto says yes and noble no, nothing is staged, and nothing that is there is activated', async (t) => {
  const world = await createWorld(t)
  const { layout, asked } = world
  const [app, store] = [join(t.testdirName, 'app'), join(t.testdirName, 'store')]
  for (const folder of [app, store]) mkdirSync(folder, { recursive: true })
  const publish = async (text: string, from: Parameters<typeof publishTree>[3] = []) => {
    writeFileSync(join(app, 'server.js'), text)
    return publishTree(world.routes, app, store, from)
  }
  const before = await publish('before')
  const serves = await publish('serves')
  const next = await publish('next', [serves])
  const apart = await publish('apart')
  for (const { digest, path } of [before, serves]) await world.take(world.ask(digest, path))
  await prepareNext(layout, true, never)
  const policy = {
    requireSignature: true,
    takesDevelopment: false,
    keyring: tornKeyring(world.signer.publicPem, createSigner().publicPem),
  }
  const rows = {
    'an archive': { target: world.publish(release('archive')), asks: /^\/[0-9a-f]{64}\.tar\.gz$/ },
    'a tree that has a delta': { target: world.ask(next.digest, next.path), asks: deltaPath(serves, next) },
    'a tree that has none': { target: world.ask(apart.digest, apart.path), asks: apart.path },
    'a release that is on disk': { target: world.ask(before.digest, before.path), asks: undefined },
  }
  const touched = () => [layout.staging, layout.standby, layout.releases].map((path) => statSync(path).ctimeMs)
  for (const [name, { target, asks }] of Object.entries(rows)) {
    const [untouched, count] = [touched(), asked.length]
    await refuses(t, world, () => world.take(target, undefined, { policy }), 'signature', 'invalid', /under any key/)
    t.strictSame(touched(), untouched, `${name}: nothing was made or moved, not even for a while`)
    if (asks === undefined) t.equal(asked.length, count, `${name}: nobody was asked`)
    else t.match(asked.at(-1), asks, `${name}: it was asked for`)
  }
  for (const { target } of Object.values(rows)) t.match(await world.take(target), { keyId: /^[0-9a-f]{16}$/ })
  t.ok(statSync(releasePath(layout, before.digest)).isDirectory())
})
