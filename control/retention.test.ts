// How long artifacts stay where AETHER_KEEP_ARTIFACTS says so: retired, sent again, removed, and what of a tree's bytes goes with it.
import { randomBytes } from 'node:crypto'
import { eventually } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import type { RetentionRule } from './domain/retention.ts'
import { digestOf, openControl } from './test-kit.ts'
import { digestsOf, packOf, publish, register, sendPack, treeOf } from './test-trees.ts'
import { createUpkeep } from './upkeep.ts'

const rule = { keep: 1, freshSeconds: 0, retiredSeconds: 3_600 }
const atOnce = { ...rule, retiredSeconds: 0 }
async function openWithTrees(t: Test) {
  const control = await openControl(t)
  const { app, ask } = control
  // Other tests' apps are in the same database, and have other trees.
  const common = Object.fromEntries(
    Array.from({ length: 40 }, (_, at) => [`lib/part-${at}.js`, `// ${app}, part ${at}\n`]),
  )
  const release = (text: string) => treeOf({ ...common, 'server.js': text, [`only/${text}.js`]: text })
  const [first, second, third, fourth] = [
    await release('1'),
    await release('2'),
    await release('3'),
    await release('4'),
  ]
  for (const tree of [first, second, third, fourth]) t.equal((await publish(ask, app, tree)).status, 201)
  return {
    ...control,
    first,
    second,
    third,
    fourth,
    listed: async () => {
      const { items } = (await ask('GET', `/artifacts?app=${app}`)).json
      return Array.isArray(items) ? items.map(({ digest }) => String(digest)) : []
    },
    lacking: async (digests: readonly string[]) =>
      (await ask('POST', `/apps/${app}/objects/lacking`, { body: { digests } })).json,
    deploy: (tree: { readonly digest: string }) =>
      ask('POST', '/deployments', { body: { app, digest: `sha256:${tree.digest}` } }),
    served: async (name: string) => (await ask('GET', `/artifacts/${name}`, { as: 'agent' })).status,
  }
}

await test('what no deployment uses is retired: none gets it any more, pods that are on their way do, and sent again it is as before', async (t) => {
  const { app, ask, retain, deploy, listed, served, first, second, third, fourth } = await openWithTrees(t)
  const made = await deploy(second)
  t.equal(made.status, 201)
  const path = `/deployments/${String(made.json.id)}`
  t.equal((await ask('PATCH', path, { body: { digest: `sha256:${third.digest}` } })).status, 200)

  await retain({ ...rule, keep: null })
  await retain({ ...rule, freshSeconds: 3_600 })
  t.equal((await listed()).length, 4, 'all stay where none are to go, and what was sent of late stays')
  await retain(rule)
  t.same(
    await listed(),
    [fourth, third, second].map(({ digest }) => `sha256:${digest}`),
    'the newest one, the one that is asked for, and the one to go back to',
  )
  t.match(await ask('PATCH', path, { body: { digest: `sha256:${first.digest}` } }), {
    status: 404,
    json: { code: 'unknown_artifact' },
  })
  t.equal((await ask('GET', `/artifacts/${first.digest}/meta`)).status, 404, 'so that who has it sends it')
  for (const suffix of ['', '.full', `.from-${second.digest}`])
    t.equal(await served(first.digest + suffix), 200, suffix)
  await retain(rule)
  t.equal(await served(first.digest), 200, 'for as long as it is to stay')

  t.equal((await register(ask, app, first)).status, 200)
  t.equal((await listed()).length, 4)
  await retain({ ...atOnce, freshSeconds: 3_600 })
  t.equal((await listed()).length, 4, 'what was sent again is fresh')
  await retain({ ...rule, keep: 2, freshSeconds: 0 })
  t.same(
    (await listed()).toSorted(),
    [first, second, third, fourth].map(({ digest }) => `sha256:${digest}`).toSorted(),
    'and among the newest',
  )
})

await test('a removed tree takes with it what it alone led to, and nothing that another one leads to', async (t) => {
  const { app, ask, retain, trees, logged, deploy, lacking, served, first, second, third, fourth } =
    await openWithTrees(t)
  t.equal((await deploy(second)).status, 201)
  const own = digestsOf(first).filter(
    (digest) => ![second, third, fourth].some((tree) => digestsOf(tree).includes(digest)),
  )
  t.ok(own.length >= 3, 'its root, a folder and a file')
  await retain(atOnce)
  t.equal(await served(first.digest), 404)
  t.equal(await served(third.digest), 404)
  t.match(
    logged.filter(({ message }) => message.includes('were removed')),
    [{ level: 'info', fields: { app, artifacts: 2 } }],
  )
  t.same((await lacking(own)).lacking, [], 'what is named no more stays for who is sending just that')
  await trees.collect(0)
  t.same((await lacking(own)).lacking, own)
  t.same(await lacking(digestsOf(second)), { lacking: [], unproven: [] })
  for (const tree of [second, fourth]) t.equal(await served(`${tree.digest}.full`), 200)
  t.equal(await served(`${fourth.digest}.from-${second.digest}`), 200)
  t.match(await register(ask, app, first), { status: 409, json: { code: 'incomplete' } })
  t.equal((await publish(ask, app, first)).status, 201, 'and comes again')
  t.equal(await served(`${first.digest}.full`), 200)
})

await test('a tree that is registered while another is removed keeps all that both lead to', async (t) => {
  const { app, ask, retain, trees, lacking, deploy, served, third, fourth } = await openWithTrees(t)
  t.equal((await deploy(fourth)).status, 201)
  for (let round = 0; round < 8; round++) {
    const old = await treeOf({
      'shared.js': `shared ${round}`,
      'deep/shared.js': `deep ${round}`,
      'old.js': String(round),
    })
    const next = await treeOf({
      'shared.js': `shared ${round}`,
      'deep/shared.js': `deep ${round}`,
      'new.js': String(round),
    })
    await publish(ask, app, old)
    // Not the newest any more, and then retired.
    await publish(ask, app, third)
    await retain(rule)
    await sendPack(ask, app, await packOf(next, { from: old }))
    const [registered] = await Promise.all([register(ask, app, next), retain(atOnce)])
    t.equal(registered.status, 201)
    await trees.collect(0)
    t.same(await lacking(digestsOf(next)), { lacking: [], unproven: [] })
    t.equal(await served(`${next.digest}.full`), 200)
    t.equal(await served(old.digest), 404)
  }
})

await test('the upkeep does it by itself, with all that control starts, and none where all are to stay', async (t) => {
  const { ask, upload, retain, trees } = await openControl(t)
  const warn = (fields: unknown, message: string) => t.fail(`${message}: ${JSON.stringify(fields)}`)
  const times = { keepSeconds: 0, retiredSeconds: 0, everyMs: 20 }
  const [old, newest] = [randomBytes(500), randomBytes(500)]
  for (const bytes of [old, newest]) await upload(bytes)
  const statusOf = async (bytes: Buffer) => (await ask('GET', `/artifacts/${digestOf(bytes)}`)).status
  for (const [keep, status] of [
    [0, 200],
    [1, 404],
  ] as const) {
    let passes = 0
    const counted = (asked: RetentionRule) => retain(asked).finally(() => passes++)
    const upkeep = createUpkeep({ trees, retain: counted }, keep, { warn }, times)
    await upkeep.start()
    await eventually('two passes', () => passes > 1)
    await upkeep.stop()
    t.equal(await statusOf(old), status)
    t.equal(await statusOf(newest), 200)
  }
})

await test('the bytes of an archive stay until no app has it', async (t) => {
  const { app, ask, upload, services, retain, store } = await openControl(t)
  const other = `${app}-other`
  await services.apps.create(other)
  const [shared, own, newest] = [randomBytes(500), randomBytes(500), randomBytes(500)]
  for (const bytes of [shared, own, newest]) t.equal((await upload(bytes)).status, 201)
  t.equal((await upload(shared, { headers: { 'aether-app': other } })).status, 201)
  await retain(atOnce)
  const bytesOf = async (bytes: Buffer) => (await ask('GET', `/artifacts/${digestOf(bytes)}`)).status
  t.equal(await bytesOf(own), 404)
  t.equal(await bytesOf(newest), 200)
  t.equal((await ask('GET', `/artifacts/${digestOf(shared)}`, { as: 'agent' })).status, 403)
  t.equal(await bytesOf(shared), 200, 'the other app has it')
  t.equal((await upload(own)).status, 201)
  t.equal(await bytesOf(own), 200, 'and comes again')
  t.equal((await store.listArtifacts({ app }, { limit: 10, after: null })).items.length, 2)
})
