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
import { zstdCompressSync } from 'node:zlib'
import { test } from 'tap'
import { createDeltaReader } from './delta-pack.ts'
import { writeDelta } from './delta-write.ts'
import { createFullPack } from './full-pack.ts'
import { encodeIndex, packIndex, parentsFirst, parseIndex, placeFiles } from './index-pack.ts'
import { packFolder } from './pack.ts'
import { encodeRecordHead } from './record-stream.ts'
import { collector, deltaLimits, listFolder, listTree, plant, walkLimits } from './test-trees.ts'
import { readArchive } from './tree-archive.ts'
import { type BuildSink, buildTree } from './tree-build.ts'
import { digestOfFile, digestOfObject } from './tree-digest.ts'
import { TreeError, type TreeFault } from './tree-error.ts'
import { type ObjectStore, readFolder } from './tree-folder.ts'
import { encodeFolder, isTree, type TreeEntry } from './tree-object.ts'
import { readSource } from './tree-source.ts'
import { loadTree, writeTree } from './tree-store.ts'
import { verifyFolder } from './tree-verify.ts'
import { expandTree } from './tree-walk.ts'
import { plantFirst, plantSecond } from './vector-trees.ts'

const faultOf = (act: () => unknown): TreeFault | 'none' => {
  try {
    act()
    return 'none'
  } catch (error) {
    if (error instanceof TreeError) return error.code
    throw error
  }
}
const file = (name: string, content = name): TreeEntry => ({
  kind: 'file',
  name,
  executable: false,
  size: Buffer.byteLength(content),
  digest: digestOfFile(Buffer.from(content)),
})
const folder = (name: string, digest: string): TreeEntry => ({ kind: 'folder', name, digest })

function keep(...folders: readonly ReturnType<typeof encodeFolder>[]) {
  const objects = new Map(folders.flatMap((one) => one.objects.map(({ digest, bytes }) => [digest, bytes] as const)))
  return { objects, store: (digest: string) => objects.get(digest) }
}
const expandAll = (root: string, store: ObjectStore, limits = walkLimits) => [...expandTree(root, store, limits)].length

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

await test('a delta pack that lies is refused at the record that does', (t) => {
  const [a, b, c] = ['aaa', 'bb', 'c'.repeat(3000)] as const
  const [inner, other] = [encodeFolder([file('a', a), file('b', b)]), encodeFolder([file('x', a)])]
  const root = encodeFolder([file('c', c), folder('d', inner.digest), file('e', a)])
  const foreign = encodeFolder([folder('d', other.digest)])
  const bytesOf = (one: ReturnType<typeof encodeFolder>) => one.objects[0].bytes
  const object = (one: ReturnType<typeof encodeFolder>, bytes = bytesOf(one), length = bytes.length) =>
    Buffer.concat([encodeRecordHead('object', one.digest, length), bytes])
  const content = (text: string, bytes = text, length = bytes.length) =>
    Buffer.concat([encodeRecordHead('file', digestOfFile(Buffer.from(text)), length), Buffer.from(bytes)])
  const kindless = Buffer.concat([Buffer.from([3]), Buffer.alloc(40)])
  const good = [object(root), object(inner), content(c), content(a), content(b)]
  const read = (records: readonly Buffer[], piece = 1 << 20, holds: readonly string[] = [], limits = deltaLimits) => {
    const got = collector()
    const reader = createDeltaReader(root.digest, (digest) => holds.includes(digest), got.sink, limits)
    const all = Buffer.concat(records)
    const fault = faultOf(() => {
      for (let at = 0; at < all.length; at += piece) reader.write(all.subarray(at, at + piece))
      reader.finish()
    })
    return { fault, objects: got.objects.size, files: got.files.size }
  }
  for (const piece of [1, 41, 1000, 1 << 20]) t.strictSame(read(good, piece), { fault: 'none', objects: 2, files: 3 })
  t.match(read([object(root), object(inner)]), { fault: 'none', files: 0 }, 'files may all be in the old tree')
  t.match(read([object(root)], 100, [inner.digest]), { fault: 'none' }, 'and folders')
  t.match(read([], 100, [root.digest]), { fault: 'none' })

  const flipped = (bytes: Buffer) => {
    const copy = Buffer.from(bytes)
    copy[copy.length - 1] = 1 ^ (copy.at(-1) ?? 0)
    return copy
  }
  const lies: readonly (readonly [string, readonly Buffer[], TreeFault, string[]?])[] = [
    ['nothing', [], 'missing'],
    ['no objects', [content(c)], 'missing'],
    ['an object less', [object(root), content(c)], 'missing'],
    ['an object less, and no file', [object(root)], 'missing'],
    ['another root', [object(foreign), object(other)], 'extra'],
    ['a child before its parent', [object(inner), object(root)], 'extra'],
    ['an object of another tree', [object(root), object(other)], 'extra'],
    ['an object twice', [object(root), object(root)], 'extra'],
    ['an object that the old tree has', [object(root), object(inner)], 'extra', [inner.digest]],
    ['other bytes in an object', [object(root, flipped(bytesOf(root)))], 'mismatch'],
    ['an object of no bytes', [object(root, Buffer.alloc(0))], 'mismatch'],
    ['an object that is too large', [object(root, bytesOf(root), 2 ** 21)], 'limit'],
    ['an endless object', [object(root, bytesOf(root), 2 ** 52)], 'limit'],
    ['a size of 2^60', [object(root, bytesOf(root), 2 ** 60)], 'malformed'],
    ['other bytes in a file', [object(root), object(inner), content(c, `${c.slice(1)}d`)], 'mismatch'],
    ['a file of another length', [object(root), object(inner), content(c, c, c.length + 1)], 'mismatch'],
    ['an endless file', [object(root), object(inner), content(c, c, 2 ** 50)], 'mismatch'],
    ['a file twice', [...good, content(a)], 'extra'],
    ['a file of another tree', [...good, content('other')], 'extra'],
    ['a file that only a folder of the old tree has', [object(root), content(b)], 'extra', [inner.digest]],
    ['an object behind a file', [...good, object(other)], 'extra'],
    ['an unknown kind', [...good, kindless], 'malformed'],
    ['an end in a record', [...good.slice(0, -1), content(b).subarray(0, -1)], 'malformed'],
    ['an end in the head of a record', [...good, content(b).subarray(0, 10)], 'malformed'],
  ]
  for (const [what, records, fault, holds = []] of lies)
    for (const piece of [7, 1 << 20]) t.equal(read(records, piece, holds).fault, fault, what)

  t.equal(read(good, 64, [], { ...deltaLimits, maxBytes: 2000 }).fault, 'limit', 'more bytes than may be')
  t.equal(read(good, 64, [], { ...deltaLimits, maxEntries: 4 }).fault, 'limit', 'more entries than may be')
  const sizes = encodeFolder([
    file('a', a),
    { kind: 'file', name: 'b', executable: false, size: 9, digest: digestOfFile(Buffer.from(a)) },
  ])
  const reader = createDeltaReader(sizes.digest, () => false, collector().sink, deltaLimits)
  t.equal(
    faultOf(() => reader.write(object(sizes))),
    'malformed',
    'a file of two sizes',
  )
  t.end()
})

await test('an index that lies is refused, and a true one finds each file in the pack', async (t) => {
  const base = t.testdir({ work: {} })
  plantFirst(join(base, 'work'))
  const { built, index, full } = await writeTree(readSource(join(base, 'work')), join(base, 'app.tree'))
  const limits = { maxEntries: 1000, maxIndexBytes: 1 << 20 }
  const bytes = readFileSync(index.file)
  const read = await parseIndex(bytes, built.digest, limits)
  t.equal(
    read.frames.reduce((sum, frame) => sum + frame.packed, 0),
    full.bytes,
  )
  t.ok(read.frames.every((frame) => frame.unpacked <= 1024 * 1024))
  const tar = execFileSync(
    process.execPath,
    ['-e', `process.stdout.write(zlib.zstdDecompressSync(fs.readFileSync(process.argv[1])))`, full.file],
    { env: {}, maxBuffer: 1 << 25 },
  )
  let files = 0
  for (const { entry, offset } of placeFiles(built.digest, read, walkLimits)) {
    if (entry.kind !== 'file') continue
    files++
    if (digestOfFile(tar.subarray(offset, offset + entry.size)) !== entry.digest) t.fail(`${entry.name} is not there`)
  }
  t.equal(files, built.files)

  const layout = { frames: read.frames, headerBlocks: read.headerBlocks }
  const lie = async (body: Buffer, root = built.digest) => parseIndex(await packIndex(body), root, limits)
  const right = encodeIndex(built.digest, built.objects, layout)
  await t.resolves(lie(right))
  const [first = ''] = built.objects.keys()
  const less = new Map([...built.objects].filter(([digest]) => digest !== first))
  await t.rejects(lie(encodeIndex(built.digest, less, layout)), { code: 'missing' })
  await t.rejects(lie(right, first), { code: 'extra' }, 'an index of another tree')
  await t.rejects(lie(Buffer.concat([right, Buffer.from([0])])), { code: 'malformed' })
  await t.rejects(lie(right.subarray(0, -1)), { code: 'malformed' })
  await t.rejects(lie(Buffer.alloc(2 << 20)), { code: 'limit' }, 'a bomb')
  await t.rejects(parseIndex(bytes.subarray(0, -1), built.digest, limits), { code: 'malformed' })
  await t.rejects(parseIndex(zstdCompressSync(right), built.digest, limits), { code: 'malformed' }, 'no magic')
  await t.rejects(parseIndex(bytes, built.digest, { ...limits, maxEntries: 100 }), { code: 'limit' })
  const short = { ...read, headerBlocks: read.headerBlocks.slice(1) }
  t.equal(
    faultOf(() => [...placeFiles(built.digest, short, walkLimits)]),
    'malformed',
  )
  const long = { ...read, headerBlocks: [...read.headerBlocks, 1] }
  t.equal(
    faultOf(() => [...placeFiles(built.digest, long, walkLimits)]),
    'malformed',
  )
  t.equal(parentsFirst(built.digest, (digest) => built.objects.get(digest)).length, built.objects.size)
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
