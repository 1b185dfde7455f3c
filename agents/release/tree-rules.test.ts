// What holds for archives holds for trees: no escape, nothing half-made, bytes within the budget of the volume.
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { encodeDeltaHead } from '@aether/artifact/delta-pack'
import { encodeRecordHead } from '@aether/artifact/record-stream'
import { digestOfObject } from '@aether/artifact/tree-digest'
import { encodeFolder, type TreeEntry } from '@aether/artifact/tree-object'
import { type Digest, digestFromHex, hexOf } from '@aether/contract/digest'
import type { Detail } from '@aether/contract/reasons'
import { test } from 'tap'
import { readCurrent, releasePath } from './activate.ts'
import { pruneReleases } from './prune.ts'
import { listTree, reasonOf, refuses } from './test-kit.ts'
import { createPair, createTrees } from './test-tree-world.ts'
import { deltaPath } from './test-trees.ts'
import { mountVolume, needsRoot } from './test-volume.ts'

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
