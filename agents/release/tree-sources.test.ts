// A tree from servers that do not tell the truth: whatever they give, the release is the wanted one or none.
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { deltaHeadBytes, encodeDeltaHead } from '@aether/artifact/delta-pack'
import { encodeRecordHead } from '@aether/artifact/record-stream'
import { digestOfFile, digestOfObject } from '@aether/artifact/tree-digest'
import { encodeFolder, type TreeEntry } from '@aether/artifact/tree-object'
import { type Digest, digestFromHex, hexOf } from '@aether/contract/digest'
import type { Detail } from '@aether/contract/reasons'
import { testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { readCurrent, releasePath } from './activate.ts'
import { prepareNext } from './background.ts'
import { pruneReleases } from './prune.ts'
import { createWorld, type limits, listTree, reasonOf, refuses } from './test-kit.ts'
import { deltaPath, type PublishedTree, publishTree } from './test-trees.ts'
import { mountVolume, needsRoot } from './test-volume.ts'

const never = new AbortController().signal

async function createTrees(t: Test, changes: Partial<typeof limits> = {}, root?: string) {
  const world = await createWorld(t, changes, root)
  if (root !== undefined) testFolder(t)
  const [app, store] = [join(t.testdirName, 'app'), join(t.testdirName, 'store')]
  for (const folder of [join(app, 'lib'), store]) mkdirSync(folder, { recursive: true })
  for (let n = 0; n < 20; n++) writeFileSync(join(app, 'lib', `part-${n}`), randomBytes(200_000))
  writeFileSync(join(app, 'server.js'), 'one')
  symlinkSync('server.js', join(app, 'main'))
  const publish = (...from: PublishedTree[]) => publishTree(world.routes, app, store, from)
  const take = ({ digest, path }: PublishedTree) => world.take(world.ask(digest, path))
  const serve = (suffix: string, bytes: Uint8Array) => world.routes.set(suffix, bytes)
  return { ...world, app, publish, take, serve, prepare: () => prepareNext(world.layout, true, never) }
}

type Trees = Awaited<ReturnType<typeof createTrees>>

/** One release that serves and the next one, with everything that a store has for it. */
async function createPair(t: Test, changes: Partial<typeof limits> = {}) {
  const world = await createTrees(t, changes)
  const one = await world.publish()
  await world.take(one)
  await world.prepare()
  writeFileSync(join(world.app, 'server.js'), 'two')
  writeFileSync(join(world.app, 'lib/new'), randomBytes(5000))
  rmSync(join(world.app, 'lib/part-3'))
  const two = await world.publish(one)
  const delta = Buffer.from(readFileSync(join(t.testdirName, 'store', deltaPath(one, two).slice(1))))
  return { ...world, one, two, delta, wanted: listTree(world.app) }
}

type Pair = Awaited<ReturnType<typeof createPair>>

/** Takes the second release, whatever the delta is; it comes from the next source. */
async function survives(t: Test, world: Pair, what: string, delta: Uint8Array, why: RegExp): Promise<void> {
  const { one, two, layout, wanted } = world
  world.serve(deltaPath(one, two), delta)
  const refreshed = await world.take(two)
  t.equal(refreshed.source, 'ranges', `${what}: another source`)
  t.strictSame(refreshed.refusedSources, ['delta'], what)
  t.match(refreshed.warnings.join('\n'), why, what)
  t.strictSame(listTree(releasePath(layout, two.digest)), wanted, `${what}: the release is whole`)
  t.strictSame(readdirSync(layout.staging), [], `${what}: nothing is left`)
  // Back to the first, and the second off the disk.
  await world.take(one)
  await world.take(one)
  rmSync(releasePath(layout, two.digest), { recursive: true })
  rmSync(join(layout.complete, `sha256-${hexOf(two.digest)}.json`))
  await world.prepare()
}

await test('a delta that lies costs its bytes: the parts of the full pack come instead', async (t) => {
  const world = await createPair(t)
  const { one, two, delta } = world
  const [from, to] = [hexOf(one.digest), hexOf(two.digest)]
  const head = delta.subarray(0, deltaHeadBytes)
  const records = splitRecords(zstdDecompressSync(delta.subarray(deltaHeadBytes)))
  const repacked = (changed: readonly Uint8Array[], front: Uint8Array = head) =>
    Buffer.concat([front, zstdCompressSync(Buffer.concat(changed))])
  const [root = Buffer.alloc(0)] = records
  const file = records.findIndex((record) => record[0] === 2)
  const other = Buffer.from('not asked for')
  const strange = Buffer.concat([encodeRecordHead('file', digestOfFile(other), other.length), other])
  const garbled = records.map((record, at) => (at === file ? flipped(record) : record))
  const object = encodeFolder([{ kind: 'file', name: 'a', executable: false, size: 1, digest: digestOfFile(other) }])
  const foreign = Buffer.concat([
    encodeRecordHead('object', object.digest, object.objects[0].bytes.length),
    object.objects[0].bytes,
  ])

  await survives(t, world, 'no pack at all', Buffer.from('<html>hello</html>'), /does not begin as one/)
  await survives(t, world, 'nothing', Buffer.alloc(0), /does not begin as one/)
  const turned = encodeDeltaHead({ from: to, to: from })
  await survives(t, world, 'the way back', repacked(records, turned), /goes from/)
  await survives(t, world, 'not compressed', Buffer.concat([head, Buffer.concat(records)]), /not compressed/)
  await survives(t, world, 'a file of other bytes', repacked(garbled), /other bytes/)
  await survives(t, world, 'an object of other bytes', repacked([flipped(root), ...records.slice(1)]), /other bytes/)
  await survives(t, world, 'a file is missing', repacked(records.toSpliced(file, 1)), /neither in the delta/)
  await survives(
    t,
    world,
    'an object is missing',
    repacked(records.toSpliced(1, 1)),
    /is not in the delta|did not come/,
  )
  await survives(t, world, 'a file is there twice', repacked([...records, records[file] ?? root]), /asked for no more/)
  await survives(t, world, 'a file too many', repacked([...records, strange]), /asked for no more|never was/)
  await survives(t, world, 'an object of another tree', repacked([foreign, ...records]), /asked for no more|never was/)
  await survives(t, world, 'cut off in a record', repacked([...records.slice(0, -1), root.subarray(0, 20)]), /./)
  await survives(t, world, 'zeros without end', repacked([...records, Buffer.alloc(60_000_000)]), /./)
  const short = (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 30)
  await survives(t, world, 'a torn stream', short(delta), /not compressed|ends in the middle/)

  world.routes.set(deltaPath(one, two), (_request, response) => {
    response.writeHead(200)
    response.write(head)
    const drip = setInterval(() => response.write(Buffer.alloc(200_000)), 1)
    response.on('close', () => clearInterval(drip))
  })
  const endless = await world.take(two)
  t.equal(endless.source, 'ranges', 'bytes without end')
  t.strictSame(listTree(releasePath(world.layout, two.digest)), world.wanted)
})

await test('parts of the full pack that lie, or an index that does, cost their bytes: the full pack comes instead', async (t) => {
  const world = await createPair(t)
  const { one, two, layout, wanted, routes } = world
  routes.delete(deltaPath(one, two))
  const index = bytesAt(world, `${two.path}.index`)
  const full = bytesAt(world, `${two.path}.full`)
  async function comesWhole(what: string, refused: readonly string[]): Promise<void> {
    const refreshed = await world.take(two)
    t.equal(refreshed.source, 'full', what)
    t.strictSame(refreshed.refusedSources, refused, `${what}: what was refused`)
    t.strictSame(listTree(releasePath(layout, two.digest)), wanted, `${what}: the release is whole`)
    t.strictSame(readdirSync(layout.staging), [], `${what}: nothing is left`)
    await world.take(one)
    await world.take(one)
    rmSync(releasePath(layout, two.digest), { recursive: true })
    rmSync(join(layout.complete, `sha256-${hexOf(two.digest)}.json`))
    await world.prepare()
  }
  for (const [what, bytes] of Object.entries({
    'an index of another tree': bytesAt(world, `${one.path}.index`),
    'a garbled index': flipped(index),
    'a short index': index.subarray(0, index.length / 2),
    'no index': Buffer.from('404 but with 200'),
  })) {
    routes.set(`${two.path}.index`, bytes)
    await comesWhole(what, ['ranges'])
  }
  routes.delete(`${two.path}.index`)
  await comesWhole('an index that nobody made', [])
  routes.set(`${two.path}.index`, index)
  routes.set(`${two.path}.full`, (request, response) => {
    if (request.headers.range === undefined) response.end(full)
    else response.writeHead(206).end(full.subarray(0, 1000))
  })
  await comesWhole('parts of other places', ['ranges'])
  routes.set(`${two.path}.full`, (_request, response) => {
    response.end(full)
  })
  await comesWhole('a server that knows no ranges', [])
})

await test('a full pack of anything else is refused, and what serves goes on', async (t) => {
  const world = await createTrees(t)
  const one = await world.publish()
  await world.take(one)
  writeFileSync(join(world.app, 'server.js'), 'two')
  const two = await world.publish()
  for (const suffix of ['.index', '.full']) world.routes.set(two.path + suffix, bytesAt(world, one.path + suffix))
  await refuses(t, world, () => world.take(two), 'checksum', 'mismatch', /makes the tree/)
  world.routes.delete(`${two.path}.full`)
  await refuses(t, world, () => world.take(two), 'download', 'not_found')
  world.routes.set(two.path, flipped(bytesAt(world, two.path)))
  await refuses(t, world, () => world.take(two), 'checksum', 'mismatch')
})

await test('what no archive may have, no tree may have either: links that leave, odd names, more than fits', async (t) => {
  const world = await createTrees(t)
  const one = await world.publish()
  await world.take(one)
  await world.prepare()
  /** Who has the key need not have our packer: a tree of these entries, and a delta with these objects. */
  async function isRefused(detail: Detail<'extract'>, entries: readonly TreeEntry[], inside: readonly Buffer[] = []) {
    const { digest, objects } = encodeFolder(entries)
    const evil = { digest: digestFromHex(digest), path: '/evil', file: '' }
    const records = [objects[0].bytes, ...inside].map((bytes) =>
      Buffer.concat([encodeRecordHead('object', digestOfObject(bytes), bytes.length), bytes]),
    )
    world.routes.set('/evil', objects[0].bytes)
    const head = encodeDeltaHead({ from: hexOf(one.digest), to: digest })
    world.routes.set(deltaPath(one, evil), Buffer.concat([head, zstdCompressSync(Buffer.concat(records))]))
    await refuses(t, world, () => world.take(evil), 'extract', detail)
  }
  await isRefused('link_escape', [{ kind: 'link', name: 'out', to: '../../etc' }])
  await isRefused('link_escape', [{ kind: 'link', name: 'out', to: '/etc' }])
  await isRefused('unsupported_entry', [{ kind: 'link', name: 'a\nb', to: 'c' }])
  await isRefused('unsupported_entry', [{ kind: 'link', name: '\xff', to: 'c' }])
  // Each level has the one below twice: 2^30 entries out of a few kilobytes.
  let inner = encodeFolder([{ kind: 'link', name: 'leaf', to: 'x' }])
  const levels = [inner.objects[0].bytes]
  for (let n = 0; n < 30; n++) {
    const names = ['a', 'b'].map((name): TreeEntry => ({ kind: 'folder', name, digest: inner.digest }))
    inner = encodeFolder(names)
    levels.unshift(inner.objects[0].bytes)
  }
  await isRefused('limit', [{ kind: 'folder', name: 'a', digest: inner.digest }], levels)
})

await test('a link that leads out by another change than its own is seen', async (t) => {
  const world = await createTrees(t)
  mkdirSync(join(world.app, 'deep/er'), { recursive: true })
  writeFileSync(join(world.app, 'deep/er/x'), '')
  symlinkSync('deep/er/../../server.js', join(world.app, 'through'))
  const one = await world.publish()
  await world.take(one)
  await world.prepare()
  // The same text leads above the root, now that deep/er is a link to the root itself.
  rmSync(join(world.app, 'deep/er'), { recursive: true })
  symlinkSync('..', join(world.app, 'deep/er'))
  const two = await world.publish(one)
  await refuses(t, world, () => world.take(two), 'extract', 'link_escape', /through/)
})

await test('a release pruned or damaged meanwhile is no base, and a standby that is gone is made on the spot', async (t) => {
  const world = await createPair(t)
  const { one, two, layout } = world
  rmSync(layout.standby, { recursive: true })
  const first = await world.take(two)
  t.equal(first.source, 'delta', 'without a standby')
  t.strictSame(listTree(releasePath(layout, two.digest)), world.wanted)
  t.equal(first.reusedFiles, 20, 'what did not change')
  const inode = (digest: Digest) => statSync(join(releasePath(layout, digest), 'lib/part-1')).ino
  t.equal(inode(two.digest), inode(one.digest))

  // The file that the next one would take from here is gone: nothing half-made serves.
  await world.prepare()
  writeFileSync(join(world.app, 'server.js'), 'three')
  const three = await world.publish(two)
  rmSync(join(layout.standby, `sha256-${hexOf(two.digest)}`, 'server.js'))
  const error = await world.take(three).catch((thrown: unknown) => thrown)
  t.ok(error instanceof Error, 'the clone was changed by somebody')
  t.strictSame(readdirSync(layout.staging), [])
  t.equal((await world.take(three)).source, 'delta', 'the next try makes another')
  t.strictSame(listTree(releasePath(layout, three.digest)), listTree(world.app))
  t.strictSame(await pruneReleases(layout, 2, []), [one.digest])
  t.notOk(existsSync(join(layout.trees, `sha256-${hexOf(one.digest)}`)))
})

await test(
  'a volume that is full in the middle of a delta keeps what it serves, and takes the next one that fits',
  needsRoot,
  async (t) => {
    const world = await createTrees(t, {}, mountVolume(t, 'size=6m'))
    const { app, layout } = world
    const one = await world.publish()
    await world.take(one)
    await world.prepare()
    writeFileSync(join(app, 'a-first'), 'this one fits')
    writeFileSync(join(app, 'large'), randomBytes(4_000_000))
    const two = await world.publish(one)
    t.match(await reasonOf(world.take(two)), { reason: 'disk_full', detail: 'bytes' })
    t.equal(await readCurrent(layout), one.digest)
    t.strictSame(readdirSync(layout.staging), [])
    t.strictSame(readdirSync(layout.releases), [`sha256-${hexOf(one.digest)}`])
    rmSync(join(app, 'large'))
    const three = await world.publish(one)
    t.match(await world.take(three), { source: 'delta', activation: { id: 2 } })
    t.strictSame(listTree(releasePath(layout, three.digest)), listTree(app))
  },
)

await test('bytes that releases share count once against the budget', async (t) => {
  const world = await createTrees(t, { maxWorkspaceBytes: 5_000_000 })
  const { app, layout } = world
  let before = await world.publish()
  await world.take(before)
  for (let n = 0; n < 4; n++) {
    writeFileSync(join(app, 'server.js'), randomBytes(20_000))
    const next = await world.publish(before)
    t.equal((await world.take(next)).source, 'delta')
    before = next
  }
  t.equal(readdirSync(layout.releases).length, 5, 'five of 4 MB in 5 MB')
  writeFileSync(join(app, 'server.js'), randomBytes(950_000))
  const large = await world.publish(before)
  await world.take(large)
  t.ok(readdirSync(layout.releases).length < 6, 'the oldest went for it')
  writeFileSync(join(app, 'server.js'), randomBytes(1_500_000))
  const tooLarge = await world.publish(large)
  t.match(await reasonOf(world.take(tooLarge)), { reason: 'disk_full', detail: 'budget' })
})

function bytesAt(world: Trees, path: string): Buffer {
  const bytes = world.routes.get(path)
  if (!(bytes instanceof Uint8Array)) throw new Error(`${path} is no file`)
  return Buffer.from(bytes)
}

function flipped(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes)
  const last = copy.length - 1
  copy[last] = (copy[last] ?? 0) ^ 1
  return copy
}

function splitRecords(bytes: Buffer): readonly Buffer[] {
  const records: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 41 + Number(bytes.readBigUInt64BE(at + 33))
    records.push(bytes.subarray(at, end))
    at = end
  }
  return records
}
