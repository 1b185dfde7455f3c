// Packs and indexes made by hand: the right ones are taken, and each lie is refused where it stands.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { test } from 'tap'
import { createDeltaReader } from './delta-pack.ts'
import { encodeIndex, packIndex, parentsFirst, parseIndex, placeFiles } from './index-pack.ts'
import { encodeRecordHead } from './record-stream.ts'
import { faultOf, file, folder } from './test-objects.ts'
import { collector, deltaLimits, walkLimits } from './test-trees.ts'
import { digestOfFile } from './tree-digest.ts'
import { type TreeFault } from './tree-error.ts'
import { encodeFolder } from './tree-object.ts'
import { readSource } from './tree-source.ts'
import { writeTree } from './tree-store.ts'
import { plantFirst } from './vector-trees.ts'

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
