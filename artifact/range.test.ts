import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { test } from 'tap'
import { type PackIndex, parseIndex } from './index-pack.ts'
import { type PackRange, planRanges } from './range-plan.ts'
import { createRangeReader } from './range-read.ts'
import { collector, walkLimits } from './test-trees.ts'
import { digestOfFile } from './tree-digest.ts'
import { TreeError, type TreeFault } from './tree-error.ts'
import { readSource } from './tree-source.ts'
import { writeTree } from './tree-store.ts'

const wide = { maxRanges: 1000, maxGapBytes: 0 }

await test('the files that are lacking are had from parts of the full pack, each proven', async (t) => {
  const root = t.testdir({ app: { empty: '', 'zz-empty': '', small: 'small', twin: 'small' } })
  const app = join(root, 'app')
  // Enough noise for many frames, and files that go over several of them.
  for (let at = 0; at < 40; at++) writeFileSync(join(app, `file-${at}`), randomBytes((at * 7919) % 300_000))
  writeFileSync(join(app, 'large-1'), randomBytes(3_300_000))
  writeFileSync(join(app, 'large-2'), randomBytes(2 * 1024 * 1024))
  const { built, full, index: file } = await writeTree(readSource(app), join(root, 'app.tree'))
  const index = await parseIndex(readFileSync(file.file), built.digest, { maxEntries: 1000, maxIndexBytes: 1 << 20 })
  const pack = readFileSync(full.file)
  const plan = (lacking: Iterable<string>, limits = wide, of: PackIndex = index) =>
    planRanges(built.digest, of, new Set(lacking), walkLimits, limits)
  const read = (range: PackRange, piece: number, tar = zstdDecompressSync(pack.subarray(range.from, range.to))) => {
    const got = collector()
    const reader = createRangeReader(range, got.sink)
    for (let at = 0; at < tar.length; at += piece) reader.write(tar.subarray(at, at + piece))
    reader.finish()
    return got.files
  }
  const all = [...built.contents.keys()]
  t.ok(index.frames.length > 10)
  const choices = [all, ...all.map((one) => [one]), ...[2, 3, 5, 11].map((n) => all.filter((_, at) => at % n === 0))]
  for (const lacking of choices) {
    const { ranges, bytes, packBytes } = plan(lacking)
    const files = new Map(ranges.flatMap((range) => [...read(range, 65_000)]))
    if (files.size !== lacking.length || lacking.some((one) => !files.has(one))) t.fail('not every file came')
    for (const [digest, content] of files) if (digestOfFile(content) !== digest) t.fail('other bytes came')
    if (packBytes !== pack.length || bytes > packBytes) t.fail('the sum is wrong')
  }
  t.equal(plan(all).ranges.length, 1, 'all of it is one range')
  const [digest = ''] = all.filter((one) => String(built.contents.get(one)).endsWith('/file-20'))
  const one = plan([digest])
  t.ok(one.bytes <= 1_100_000 && one.ranges.length === 1, `${one.bytes} bytes for one file`)
  t.strictSame(plan([]).ranges, [])

  const some = all.filter((_, at) => at % 13 === 0)
  const apart = plan(some)
  t.ok(apart.ranges.length > 2, `${apart.ranges.length} ranges`)
  for (const maxRanges of [1, 2]) t.ok(plan(some, { ...wide, maxRanges }).ranges.length <= maxRanges)
  const near = plan(some, { ...wide, maxGapBytes: 1 << 30 })
  t.ok(near.ranges.length === 1 && near.bytes > apart.bytes)
  const joined = new Map(near.ranges.flatMap((range) => [...read(range, 1_000_000)]))
  t.ok(some.every((each) => joined.has(each)))

  const [range] = one.ranges
  if (range === undefined) throw new Error('there is a range')
  const tar = zstdDecompressSync(pack.subarray(range.from, range.to))
  const refuses = (bytes: Uint8Array, code: TreeFault) =>
    t.throws(() => read(range, 4096, Buffer.from(bytes)), { code }, code)
  refuses(tar.subarray(0, -1), 'malformed')
  refuses(Buffer.concat([tar, Buffer.alloc(1)]), 'extra')
  refuses(Buffer.alloc(tar.length), 'mismatch')
  refuses(Buffer.alloc(0), 'malformed')
  const moved = { ...index, headerBlocks: [2, ...index.headerBlocks.slice(1)] }
  t.throws(
    () => plan([digest], wide, moved).ranges.map((each) => read(each, 4096)),
    TreeError,
    'an index that is wrong',
  )
  t.throws(() => plan([digest], wide, { ...index, frames: index.frames.slice(0, 1) }), { code: 'malformed' })
  t.throws(() => plan([digest.replaceAll(/./g, '0')]), { code: 'missing' })
})
