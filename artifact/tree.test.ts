// A tree of a folder: its digest, its objects, its files in a store.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { writeDelta } from './delta-write.ts'
import { createFullPack } from './full-pack.ts'
import { packFolder } from './pack.ts'
import { expandAll, faultOf, file, folder, keep } from './test-objects.ts'
import { listFolder, listTree, plant, walkLimits } from './test-trees.ts'
import { readArchive } from './tree-archive.ts'
import { type BuildSink, buildTree } from './tree-build.ts'
import { digestOfObject } from './tree-digest.ts'
import { readFolder } from './tree-folder.ts'
import { encodeFolder, isTree, type TreeEntry } from './tree-object.ts'
import { readSource } from './tree-source.ts'
import { loadTree, writeTree } from './tree-store.ts'
import { verifyFolder } from './tree-verify.ts'
import { plantFirst, plantSecond } from './vector-trees.ts'

await test('the same files give the same digest, whatever the path, the times, the owner or the other mode bits', async (t) => {
  const base = t.testdir({ one: {}, deep: { er: {} } })
  const [one, other] = [join(base, 'one'), join(base, 'deep/er')]
  for (const root of [one, other]) plantFirst(root)
  utimesSync(join(other, 'server.js'), 1, 1)
  chmodSync(join(other, 'server.js'), 0o600)
  chmodSync(join(other, 'bin/run'), 0o700)
  chmodSync(join(other, 'order'), 0o2770)
  const first = await writeTree(readSource(one), join(base, 'out/1.tree'))
  const second = await writeTree(readSource(other), join(base, 'out/2.tree'))
  t.equal(first.digest, second.digest)
  t.equal(first.digest, `sha256:${digestOfObject(readFileSync(first.root.file))}`, 'it is that of the root object')
  t.ok(isTree(readFileSync(first.root.file)))
  t.notOk(isTree(readFileSync(first.full.file)), 'and no archive is taken for a tree')
  t.strictSame(listTree(first.built), listFolder(one))
  chmodSync(join(other, 'server.js'), 0o711)
  t.not((await buildTree(readSource(other))).digest, second.built.digest, 'the execute bit counts')
})

await test('a branch is refused unless it is cut where the names say', (t) => {
  const entries = Array.from({ length: 400 }, (_, at) => file(`part-${1000 + at}`))
  const right = encodeFolder(entries)
  const chunk = (list: readonly TreeEntry[]) => encodeFolder(list)
  const branch = (...lists: readonly (readonly TreeEntry[])[]) => {
    const chunks = lists.map(chunk)
    const head = Buffer.from(right.objects[0].bytes.subarray(0, 19))
    head.writeUInt32BE(chunks.length, 15)
    const bytes = Buffer.concat([head, ...chunks.map(({ digest }) => Buffer.from(digest, 'hex'))])
    const { objects, store } = keep(right, ...chunks)
    const digest = digestOfObject(bytes)
    objects.set(digest, bytes)
    return faultOf(() => readFolder(digest, store))
  }
  const lists = right.objects.slice(1).map(({ digest }) => readFolder(digest, keep(right).store))
  t.ok(lists.length > 3)
  t.strictSame(readFolder(right.digest, keep(right).store), entries)
  t.equal(branch(...lists), 'none', 'the right one is taken')
  const [first = [], second = [], ...rest] = lists
  t.equal(branch(first.slice(0, 1), first.slice(1), second, ...rest), 'malformed', 'a cut too many')
  t.equal(branch(second, first, ...rest), 'malformed', 'chunks out of order')
  t.equal(branch(first, second), first.length + second.length > 128 ? 'none' : 'malformed', 'too few for a branch')
  t.equal(branch(first, [], second, ...rest), 'malformed', 'an empty chunk')
  t.equal(
    faultOf(() => readFolder(right.digest, () => undefined)),
    'missing',
  )
  const nested = keep(right)
  const outer = Buffer.from(right.objects[0].bytes)
  outer.write(right.digest, 19, 'hex')
  const outerDigest = digestOfObject(outer)
  nested.objects.set(outerDigest, outer)
  t.equal(
    faultOf(() => readFolder(outerDigest, nested.store)),
    'malformed',
    'a branch in a branch',
  )
  t.end()
})

await test('one entry more in a folder of 5,000 is a chunk and the branch, not the folder', (t) => {
  const entries = Array.from({ length: 5000 }, (_, at) => file(`part-${10_000 + at}`))
  const before = keep(encodeFolder(entries))
  for (const at of [1, 1234, 4999]) {
    const after = encodeFolder([...entries.slice(0, at), file(`part-${10_000 + at - 1}b`), ...entries.slice(at)])
    const changed = after.objects.filter(({ digest }) => !before.objects.has(digest))
    t.ok(changed.length <= 4, `${changed.length} objects`)
    t.ok(changed.reduce((sum, { bytes }) => sum + bytes.length, 0) < 20_000)
  }
  t.end()
})

await test('a few objects that stand for more entries than may be are refused, before they fill the memory', (t) => {
  const leaf = encodeFolder([file('a'), file('b')])
  let top = leaf
  const made = [leaf]
  for (let depth = 0; depth < 40; depth++) {
    top = encodeFolder([folder('left', top.digest), folder('right', top.digest)])
    made.push(top)
  }
  const doubling = keep(...made)
  t.ok(doubling.objects.size < 50, 'from a few hundred bytes')
  t.equal(
    faultOf(() => expandAll(top.digest, doubling.store)),
    'limit',
  )
  t.equal(
    faultOf(() => expandAll(top.digest, doubling.store, { ...walkLimits, maxDepth: 10 })),
    'limit',
  )

  // Each level has the same large folder beside the next level, whose name comes first.
  const crowd = Array.from({ length: 20_000 }, (_, at) => file(`z-${100_000 + at}`, ''))
  let deep = encodeFolder(crowd)
  const wide = [deep]
  for (let depth = 0; depth < 60; depth++) wide.push((deep = encodeFolder([folder('a', deep.digest), ...crowd])))
  t.equal(
    faultOf(() => expandAll(deep.digest, keep(...wide).store)),
    'limit',
  )

  const large = encodeFolder([{ kind: 'file', name: 'a', executable: false, size: 2 ** 40, digest: leaf.digest }])
  t.equal(
    faultOf(() => expandAll(large.digest, keep(large).store)),
    'limit',
    'bytes',
  )
  const name = 'n'.repeat(255)
  let long = leaf
  const path = [leaf]
  for (let depth = 0; depth < 20; depth++) path.push((long = encodeFolder([folder(name, long.digest)])))
  t.equal(
    faultOf(() => expandAll(long.digest, keep(...path).store)),
    'limit',
    'a path',
  )
  // No digest can do that; a store that does not look at digests could.
  const loop = encodeFolder([folder('again', leaf.digest)])
  t.equal(
    faultOf(() => expandAll(leaf.digest, () => loop.objects[0].bytes)),
    'limit',
    'a folder that is in itself',
  )
  t.end()
})

await test('a folder is held against a tree', async (t) => {
  const root = t.testdir({})
  plantFirst(root)
  const tree = await buildTree(readSource(root))
  t.strictSame(await verifyFolder(root, tree, walkLimits), [])
  plantSecond(root)
  const found = await verifyFolder(root, tree, walkLimits)
  const rows = found.map(({ kind, path }) => `${kind} ${path}`)
  for (const row of [
    'replace server.js',
    'remove package.json',
    'add moved',
    'remove empty',
    'add empty',
    'replace bin/run',
  ])
    t.ok(rows.includes(row), row)
})

await test('what makes no tree is refused, and leaves no file behind', async (t) => {
  const base = t.testdir({ empty: { sub: {} }, fifo: { 'server.js': '' }, gone: {}, out: {} })
  const out = join(base, 'out/app.tree')
  const write = (name: string) => writeTree(readSource(join(base, name)), out)
  await t.rejects(write('empty'), { code: 'malformed', message: /pack the folder of an app/ })
  execFileSync('mkfifo', [join(base, 'fifo/pipe')])
  t.throws(() => readSource(join(base, 'fifo')), { message: /^"pipe" is neither file, folder nor symlink/ })
  const grows = join(base, 'gone/file')
  writeFileSync(grows, 'x'.repeat(100))
  const sink: BuildSink = {
    folder: () => undefined,
    link: () => undefined,
    file() {
      writeFileSync(grows, 'y'.repeat(200))
      return undefined
    },
    data: () => undefined,
    fileEnd: () => undefined,
  }
  await t.rejects(buildTree(readSource(join(base, 'gone')), sink), {
    message: /"file" changed while it was read/,
  })
  t.strictSame(readdirSync(join(base, 'out')), [])
  mkdirSync(join(base, 'app'))
  plantFirst(join(base, 'app'))
  await write('app')
  t.strictSame(readdirSync(join(base, 'out')).toSorted(), ['app.tree', 'app.tree.full', 'app.tree.index'])
  const loaded = await loadTree(out)
  t.strictSame(listTree(loaded), listFolder(join(base, 'app')))
  writeFileSync(out, readFileSync(join(base, 'out/app.tree')).subarray(1))
  await t.rejects(loadTree(out), { code: 'extra' })
  t.ok(existsSync(out))
})

await test('a disk that is full, or a file that changes, ends the writing with that error', async (t) => {
  const root = t.testdir({ app: { a: 'a' }, 'large.bin': '' })
  writeFileSync(join(root, 'large.bin'), randomBytes(9_000_000))
  const empty = await buildTree(readSource(join(root, 'app')))
  const tree = await buildTree(readSource(root))
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  const stop = () => Promise.reject(full)
  await t.rejects(writeDelta(empty, tree, tree.contents, stop), full)
  let room = 3
  const later = () => (room-- > 0 ? Promise.resolve() : Promise.reject(full))
  room = 1
  await t.rejects(writeDelta(empty, tree, tree.contents, later), full, 'behind the head')
  room = 3
  const pack = createFullPack(later)
  await t.rejects(
    buildTree(readSource(root), pack).then(() => pack.end()),
    full,
  )
  writeFileSync(join(root, 'large.bin'), Buffer.alloc(9_000_000))
  await t.rejects(
    writeDelta(empty, tree, tree.contents, () => Promise.resolve()),
    { code: 'malformed', message: /large\.bin changed while it was packed/ },
  )
  await t.rejects(
    writeDelta(empty, tree, new Map(), () => Promise.resolve()),
    { code: 'missing' },
  )
})

await test('an archive converted into a tree is the tree of what the archive unpacks to', async (t) => {
  const base = t.testdir({ app: { 'server.js': '1', 'ä 🚀.txt': 'x', bin: { run: 'run' } }, scratch: {}, bad: {} })
  const app = join(base, 'app')
  chmodSync(join(app, 'bin/run'), 0o755)
  linkSync(join(app, 'bin/run'), join(app, 'bin/twin'))
  plant(app, 'bin/link', { kind: 'link', to: '../server.js' })
  plant(app, 'empty', { kind: 'folder' })
  const wanted = await buildTree(readSource(app))
  const archive = join(base, 'app.tar.gz')
  await packFolder(app, archive)
  t.match(execFileSync('tar', ['-tvf', archive], { encoding: 'utf8' }), / link to bin\/run/, 'with a hard link')
  const limits = {
    ...walkLimits,
    maxUnpackedBytes: 1 << 20,
    maxMetadataBytes: 1 << 20,
    maxUnpackRatio: 100,
    refuseCollisions: false,
  }
  const converted = await buildTree(await readArchive(archive, join(base, 'scratch'), limits))
  t.strictSame(listTree(converted), listTree(wanted))
  t.equal(converted.digest, wanted.digest)
  execFileSync('tar', ['-czf', join(base, 'bad.tar.gz'), '-P', '--transform=s,^,../,', '-C', app, 'server.js'])
  await t.rejects(readArchive(join(base, 'bad.tar.gz'), join(base, 'bad'), limits), {
    message: /leaves the release by \.\./,
  })
})
