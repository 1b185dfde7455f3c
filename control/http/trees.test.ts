// Trees by the routes: which objects are lacking, what comes, what becomes an artifact, and what pods are given of it.
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseIndex } from '@aether/artifact/index-pack'
import { readArchive } from '@aether/artifact/tree-archive'
import { buildTree } from '@aether/artifact/tree-build'
import { agentPaths } from '@aether/contract/control-api'
import { eventually } from '@aether/runtime/test-process'
import { test } from 'tap'
import { openControl } from '../test-kit.ts'
import { digestsOf, lastFileOf, packOf, publish, readDelta, register, sendPack, treeOf } from '../test-trees.ts'

const many = Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`lib/part-${at}.js`, `export default ${at}\n`]))
const first = await treeOf({
  ...many,
  'server.js': 'console.log(1)\n',
  'bin/run': { kind: 'link', to: '../server.js' },
})
const second = await treeOf({
  ...many,
  'server.js': 'console.log(2)\n',
  'bin/run': { kind: 'link', to: '../server.js' },
})
const lackingOf = (app: string) => `/apps/${app}/objects/lacking`

await test('what is lacking is asked for, sent, and then a tree; the next one is what changed', async (t) => {
  const { ask, app, instance } = await openControl(t)
  const lacking = async (digests: readonly string[]) =>
    (await ask('POST', lackingOf(app), { as: 'uploader', body: { digests } })).json
  t.same((await lacking(digestsOf(first))).lacking, digestsOf(first))
  t.match(await register(ask, app, first), { status: 409, json: { code: 'incomplete', message: first.digest } })

  const pack = await packOf(first)
  t.match(await sendPack(ask, app, pack), { status: 200, json: { objects: digestsOf(first).length } })
  const there = await lacking(digestsOf(first))
  t.same(there.lacking, [])
  t.same(there.unproven, [...first.objects.keys()], 'nobody has looked what they lead to')
  const made = await register(ask, app, first, { commit: 'abc' })
  t.match(made, {
    status: 201,
    json: {
      app,
      digest: `sha256:${first.digest}`,
      kind: 'tree',
      bytes: first.bytes,
      entries: first.entries,
      commit: 'abc',
    },
  })
  t.equal((await register(ask, app, first)).status, 200)
  t.same(await lacking(digestsOf(first)), { lacking: [], unproven: [] })

  const added = await packOf(second, { from: first })
  t.ok(added.length < pack.length / 4, `${added.length} bytes after ${pack.length}`)
  t.match(await sendPack(ask, app, added), { json: { objects: 2 } }, 'the root and one file')
  t.equal((await register(ask, app, second)).status, 201)
  const { items } = (await ask('GET', `/artifacts?app=${app}`)).json
  t.match(items, [{ digest: `sha256:${second.digest}` }, { digest: `sha256:${first.digest}` }])
  t.ok(instance)
})

await test('an app never learns what another one has, and cannot use it', async (t) => {
  const { ask, app, services } = await openControl(t)
  const other = `${app}-other`
  await services.apps.create(other)
  t.equal((await publish(ask, other, first)).status, 201)
  const asked = await ask('POST', lackingOf(app), { body: { digests: digestsOf(first) } })
  t.same(asked.json, { lacking: digestsOf(first), unproven: [] })
  t.match(await register(ask, app, first), { status: 409, json: { code: 'incomplete' } })
  for (const suffix of ['', '.full', '.index'])
    t.match(await ask('GET', `/artifacts/${first.digest}${suffix}`, { as: 'agent' }), {
      status: 403,
      json: { code: 'foreign_artifact' },
    })
  await publish(ask, app, second)
  t.match(await ask('GET', `/artifacts/${second.digest}.from-${first.digest}`, { as: 'agent' }), {
    status: 404,
    json: { code: 'unknown_artifact' },
  })
  t.match(await ask('POST', lackingOf('nobody'), { body: { digests: [] } }), { json: { code: 'unknown_app' } })
  t.match(await sendPack(ask, 'nobody', await packOf(first)), { status: 404, json: { code: 'unknown_app' } })
})

await test('a pod gets the root, the full pack, its index, and the delta from any tree of its app', async (t) => {
  const { ask, app, folder } = await openControl(t)
  await publish(ask, app, first)
  await publish(ask, app, second, first)
  const at = (suffix: string) => ask('GET', `/artifacts/sha256:${second.digest}${suffix}`, { as: 'agent' })

  const root = await at('')
  t.same(root.bytes, second.objects.get(second.digest))
  t.match(root.headers, { etag: `"sha256:${second.digest}"`, 'content-type': 'application/octet-stream' })

  const full = await at('.full')
  t.equal(full.status, 200)
  const file = join(t.testdir({ scratch: {} }), 'full.tar.zst')
  writeFileSync(file, full.bytes)
  const limits = {
    maxEntries: 10_000,
    maxDepth: 64,
    maxPathBytes: 3500,
    maxMetadataBytes: 2 ** 20,
    maxUnpackedBytes: 2 ** 30,
    maxUnpackRatio: 1000,
    refuseCollisions: false,
  }
  const unpacked = await buildTree(await readArchive(file, join(file, '../scratch'), limits))
  t.equal(unpacked.digest, second.digest, 'any tar makes the same tree of it')

  const index = await parseIndex((await at('.index')).bytes, second.digest, {
    maxEntries: 10_000,
    maxIndexBytes: 2 ** 20,
  })
  t.equal(
    index.frames.reduce((sum, { packed }) => sum + packed, 0),
    full.bytes.length,
  )

  const delta = await at(`.from-${first.digest}`)
  const { objects, files } = await readDelta(delta.bytes, first, second.digest)
  t.equal(objects.size, 1)
  t.equal(files.size, 1)
  t.ok(delta.bytes.length < 600, `${delta.bytes.length} bytes`)
  const back = await ask('GET', `/artifacts/${first.digest}.from-${second.digest}`, { as: 'agent' })
  t.equal((await readDelta(back.bytes, second, first.digest)).files.size, 1, 'to an older one too')

  const etag = String(full.headers.etag)
  const part = await ask('GET', `/artifacts/${second.digest}.full`, {
    as: 'agent',
    headers: { range: 'bytes=10-19', 'if-range': etag },
  })
  t.match(part, { status: 206, bytes: full.bytes.subarray(10, 20) })
  t.equal(part.headers['content-range'], `bytes 10-19/${full.bytes.length}`)
  const known = await ask('GET', `/artifacts/${second.digest}.full`, {
    as: 'agent',
    headers: { 'if-none-match': etag },
  })
  t.match(known, { status: 304, bytes: Buffer.alloc(0) })
  const behind = await ask('GET', `/artifacts/${second.digest}.full`, {
    as: 'agent',
    headers: { range: 'bytes=999999999-' },
  })
  t.match(behind, { status: 416, json: { code: 'range' } })
  t.strictSame(readdirSync(join(folder, 'trees/staging')), [])
  for (const suffix of ['.full.full', '.from-1', '.from-', '.fulls', '.from-' + 'z'.repeat(64)])
    t.match(await at(suffix), { status: suffix === '.full.full' ? 400 : /400|404/ }, suffix)
})

await test('one delta is made once, however many pods ask for it at once', async (t) => {
  const { ask, app, folder } = await openControl(t)
  await publish(ask, app, first)
  await publish(ask, app, second, first)
  const all = await Promise.all(
    Array.from({ length: 20 }, () => ask('GET', `/artifacts/${second.digest}.from-${first.digest}`, { as: 'agent' })),
  )
  t.equal(new Set(all.map(({ headers }) => headers.etag)).size, 1)
  t.strictSame(readdirSync(join(folder, 'trees/made', app)), [`${second.digest}.from-${first.digest}`])
})

await test('the delta of a move is there before a pod asks for it', async (t) => {
  const { ask, app, folder } = await openControl(t)
  await publish(ask, app, first)
  await publish(ask, app, second, first)
  const spec = { app, environment: 'production', digest: `sha256:${first.digest}`, dev_hot: true }
  const created = await ask('POST', '/deployments', { as: 'deployer', body: spec })
  t.equal(created.status, 201)
  const targets = () => ask('GET', agentPaths.target, { as: 'agent' })
  await eventually('the first target', async () => (await targets()).json.digest === spec.digest)
  const made = join(folder, 'trees/made', app)
  t.notOk(existsSync(made), 'the first arrival is by the pack, which is made when it is asked for')
  const body = { digest: `sha256:${second.digest}` }
  t.equal((await ask('PATCH', `/deployments/${String(created.json.id)}`, { as: 'deployer', body })).status, 200)
  const name = `${second.digest}.from-${first.digest}`
  await eventually('the delta', () => existsSync(join(made, name)))
  const [before] = readdirSync(made)
  t.equal(before, name)
  const delta = await ask('GET', `/artifacts/${name}`, { as: 'agent' })
  t.equal((await readDelta(delta.bytes, first, second.digest)).files.size, 1)
})

await test('a record with other bytes is refused, and those before it stay', async (t) => {
  const { ask, app, folder } = await openControl(t)
  const last = lastFileOf(first)
  const pack = await packOf(first, { lie: last })
  t.match(await sendPack(ask, app, pack), { status: 422, json: { code: 'wrong_digest', message: last } })
  const { lacking } = (await ask('POST', lackingOf(app), { body: { digests: digestsOf(first) } })).json
  t.same(lacking, [last])
  t.equal(readdirSync(join(folder, 'trees/packs', app)).length, 1)
  await sendPack(ask, app, await packOf(first, { only: new Set([last]) }))
  t.equal((await register(ask, app, first)).status, 201)
  const full = await ask('GET', `/artifacts/${first.digest}.full`, { as: 'agent' })
  t.equal(full.status, 200, 'every byte of it is what its digest says')
})

await test('what is no object pack is refused and leaves nothing', async (t) => {
  const { ask, app, folder } = await openControl(t)
  const pack = await packOf(first)
  const cases: readonly (readonly [Buffer, number, string])[] = [
    [Buffer.from('something else, and longer than the magic'), 422, 'bad_tree'],
    [Buffer.concat([pack.subarray(0, 17), Buffer.from('not zstd at all')]), 422, 'bad_tree'],
    [pack.subarray(0, 10), 422, 'bad_tree'],
    [Buffer.alloc(0), 422, 'bad_tree'],
  ]
  for (const [body, status, code] of cases) t.match(await sendPack(ask, app, body), { status, json: { code } })
  t.match(await sendPack(ask, app, pack, { headers: { 'content-type': 'application/gzip' } }), { status: 415 })
  t.strictSame(readdirSync(join(folder, 'trees/packs')), [])
})

await test('a tree that no pod would take is none here either', async (t) => {
  const { ask, app } = await openControl(t, { maxEntries: 400, maxUnpackedBytes: 100_000 })
  const refused = async (files: Parameters<typeof treeOf>[0], message: RegExp) => {
    const tree = await treeOf(files)
    t.match(await publish(ask, app, tree), { status: 422, json: { code: 'bad_tree', message } })
    t.equal((await ask('GET', `/artifacts/${tree.digest}`)).status, 404)
  }
  await refused({ 'a.js': '', out: { kind: 'link', to: '../etc/passwd' } }, /leaves the release/)
  await refused({ 'a.js': '', out: { kind: 'link', to: '/etc/passwd' } }, /only relative ones/)
  await refused({ 'a\nb.js': '' }, /control characters/)
  await refused({ '\xff\xfe.js': '' }, /UTF-8/)
  await refused(Object.fromEntries(Array.from({ length: 401 }, (_, at) => [`f${at}`, ''])), /400 entries/)
  const small = await treeOf({ ...many, 'a.js': 'x' })
  t.equal((await publish(ask, app, small)).status, 201)
  const big = await treeOf({ ...many, 'a.js': 'x', 'b.js': 'y'.repeat(60_000), 'c.js': 'y'.repeat(60_000) })
  t.match(await publish(ask, app, big), { status: 422, json: { message: /100000 bytes/ } }, 'equal files count twice')
  const more = await treeOf({ ...many, ...Object.fromEntries(Array.from({ length: 110 }, (_, at) => [`f${at}`, ''])) })
  t.match(await publish(ask, app, more, small), { status: 422, json: { message: /400 entries/ } }, 'on a base too')
  const linked = await treeOf({ ...many, 'a.js': 'x', out: { kind: 'link', to: '../x' } })
  t.match(await publish(ask, app, linked, small), { status: 422, json: { message: /leaves the release/ } })
})

await test('a digest is an archive or a tree of an app, not both', async (t) => {
  const { ask, app, upload } = await openControl(t)
  const root = first.objects.get(first.digest) ?? Buffer.alloc(0)
  await publish(ask, app, first)
  t.match(await upload(root), { status: 409, json: { code: 'conflict' } })
  t.equal((await upload(second.objects.get(second.digest) ?? Buffer.alloc(0))).status, 201)
  t.match(await publish(ask, app, second), { status: 409, json: { code: 'conflict' } })
  t.match(await ask('GET', `/artifacts/${second.digest}.full`), { status: 404, json: { code: 'unknown_artifact' } })
})
