import {
  appendFileSync,
  chmodSync,
  lstatSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { writeDelta } from './delta-write.ts'
import { createIncrementalTree } from './incremental-tree.ts'
import { isUnchanged, type KnownFile } from './known-file.ts'
import { applyDelta, listFolder, listTree, plant, readDelta } from './test-trees.ts'
import { buildTree } from './tree-build.ts'
import { digestOfFile } from './tree-digest.ts'
import { readSource } from './tree-source.ts'
import { plantFirst, plantSecond } from './vector-trees.ts'

/** Past the step of the clock, so that what was written before counts as settled. */
const settle = () => sleep(50)

function startIn(t: Test) {
  const root = join(t.testdir({ app: {} }), 'app')
  plantFirst(root)
  return { root, tree: createIncrementalTree(), source: () => readSource(root) }
}

await test('the next tree is the one that a build from scratch makes, and what was not written is not read', async (t) => {
  const { root, tree, source } = startIn(t)
  await settle()
  const first = await tree.build(source())
  const scratch = await buildTree(source())
  t.equal(first.digest, scratch.digest)
  t.equal(first.objects.size, scratch.objects.size)
  for (const [digest, bytes] of scratch.objects) t.same(first.objects.get(digest), bytes)
  t.strictSame(new Set(first.contents.keys()), new Set(scratch.contents.keys()))
  t.strictSame([first.entries, first.files, first.bytes], [scratch.entries, scratch.files, scratch.bytes])
  t.equal(first.filesRead, first.files)
  t.equal(first.added.objects.length, first.objects.size, 'the first time everything is new')

  const same = await tree.build(source())
  t.equal(same.digest, first.digest)
  t.equal(same.filesRead, 0)
  t.strictSame([same.added.objects.length, same.added.files.size], [0, 0])

  plantSecond(root)
  await settle()
  const second = await tree.build(source())
  const other = await buildTree(source())
  t.strictSame(listTree(second), listFolder(root))
  t.equal(second.digest, other.digest)
  t.strictSame([second.entries, second.files, second.bytes], [other.entries, other.files, other.bytes])
  t.strictSame(new Set(second.objects.keys()), new Set(other.objects.keys()), 'and no object of before is left in it')
  t.ok(second.filesRead < 15, `${second.filesRead} were read`)
  t.strictSame(
    new Set(second.added.files.keys()),
    new Set([...second.contents.keys()].filter((digest) => !first.contents.has(digest))),
  )
  t.strictSame(
    new Set(second.added.objects.map(([digest]) => digest)),
    new Set([...second.objects.keys()].filter((digest) => !first.objects.has(digest))),
  )
  t.equal(second.added.objects[0]?.[0], second.digest, 'the root first')
})

await test('a delta of two such builds leads from the one to the other', async (t) => {
  const { root, tree, source } = startIn(t)
  const [copy, pack] = [join(root, '../copy'), join(root, '../delta')]
  plantFirst(copy)
  const first = await tree.build(source())
  plantSecond(root)
  const second = await tree.build(source())
  await writeDelta(first, second, second.contents, async (part) => appendFileSync(pack, part))
  applyDelta(copy, first, second.digest, await readDelta(pack, first, second.digest))
  t.strictSame(listFolder(copy), listFolder(root))
})

await test('a file that was no older than the look at it is read again, though size and times are the same', async (t) => {
  const { tree, source } = startIn(t)
  await settle()
  const first = await tree.build(source())
  const lookedLate = (ms: number) =>
    createIncrementalTree(
      new Map(
        [...tree.known()].map(([path, known]) => {
          const lookedAt = Number(known.ctimeNs / 1_000_000n) + ms
          return [path, path === 'server.js' ? { ...wrong(known), lookedAt } : known]
        }),
      ),
    )
  for (const ms of [-1000, 0, 5]) {
    const next = await lookedLate(ms).build(source())
    t.equal(next.digest, first.digest)
    t.equal(next.filesRead, 1, 'which alone may have been written again in the step of the clock')
  }
  t.equal((await lookedLate(1000).build(source())).filesRead, 0)
})

await test('neither a time that was set back nor another file in its place is taken for the same', async (t) => {
  const { root, tree, source } = startIn(t)
  const path = join(root, 'server.js')
  utimesSync(path, 1000, 1000)
  await settle()
  await tree.build(source())
  const before = lstatSync(path)

  writeFileSync(path, 'console.log(5)\n')
  utimesSync(path, 1000, 1000)
  t.equal(lstatSync(path).mtimeMs, before.mtimeMs)
  t.ok((await tree.build(source())).contents.has(digestOfFile(Buffer.from('console.log(5)\n'))))

  await settle()
  await tree.build(source())
  plant(root, 'other.js', { kind: 'file', content: 'console.log(6)\n' })
  utimesSync(join(root, 'other.js'), 1000, 1000)
  renameSync(join(root, 'other.js'), path)
  t.ok((await tree.build(source())).contents.has(digestOfFile(Buffer.from('console.log(6)\n'))))
})

await test('the execute bit, a link and a kind that change are seen without a file being read', async (t) => {
  const { root, tree, source } = startIn(t)
  await settle()
  await tree.build(source())
  chmodSync(join(root, 'bin/twin'), 0o755)
  rmSync(join(root, 'bin/current'))
  symlinkSync('run', join(root, 'bin/current'))
  rmSync(join(root, 'empty'), { recursive: true })
  symlinkSync('bin', join(root, 'empty'))
  const next = await tree.build(source())
  t.strictSame(listTree(next), listFolder(root))
  t.ok(next.filesRead <= 1, 'the one whose time of change moved')
})

await test('all is read where that is asked for, which finds what no time shows', async (t) => {
  const { root, tree, source } = startIn(t)
  await settle()
  const first = await tree.build(source())
  const lies = new Map([...tree.known()].map(([path, known]) => [path, path === 'server.js' ? wrong(known) : known]))
  const misled = createIncrementalTree(lies)
  t.not((await misled.build(source())).digest, first.digest)
  const checked = await misled.build(source(), { readAll: true })
  t.equal(checked.digest, first.digest)
  t.equal(checked.filesRead, first.files)
  t.strictSame(listTree(checked), listFolder(root))
})

await test('what another process knew is enough to read nothing', async (t) => {
  const { tree, source } = startIn(t)
  await settle()
  const first = await tree.build(source())
  const next = await createIncrementalTree(tree.known()).build(source())
  t.equal(next.digest, first.digest)
  t.equal(next.filesRead, 0)
})

await test('a folder that nobody wrote to is not looked at, and is in the tree with all below it', async (t) => {
  const { root, tree, source } = startIn(t)
  await settle()
  const first = await tree.build(source())
  writeFileSync(join(root, 'server.js'), 'console.log(7)\n')
  writeFileSync(join(root, 'many/file-0.js'), 'unseen')
  const isUntouched = (folder: string) => folder === 'many' || folder === 'long'
  const next = await tree.build(source(), { isUntouched })
  t.strictSame([next.entries, next.files], [first.entries, first.files])
  t.ok(next.contents.has(digestOfFile(Buffer.from('export const part = 0\n'))))
  t.notOk(next.contents.has(digestOfFile(Buffer.from('unseen'))))
  t.strictSame(next.added.files.size, 1)
  const seen = await tree.build(source())
  t.ok(seen.contents.has(digestOfFile(Buffer.from('unseen'))))
  t.strictSame(listTree(seen), listFolder(root))
  t.equal(
    (await createIncrementalTree().build(source(), { isUntouched })).digest,
    seen.digest,
    'unless it is not known',
  )
})

await test('a build that fails forgets nothing of those before', async (t) => {
  const { root, tree, source } = startIn(t)
  await settle()
  const first = await tree.build(source())
  const list = source()
  rmSync(join(root, 'server.js'))
  await t.rejects(tree.build(list), { code: 'ENOENT' })
  plant(root, 'server.js', { kind: 'file', content: 'console.log(1)\n' })
  const next = await tree.build(source())
  t.equal(next.digest, first.digest)
  t.equal(next.filesRead, 1)
  t.strictSame([next.added.objects.length, next.added.files.size], [0, 0])
})

await test('where times are whole seconds, a look counts only two seconds later', (t) => {
  const stat = lstatSync(t.testdir({ file: '' }), { bigint: true })
  const at = 1_700_000_000_000
  const look = (times: bigint, lookedAt: number) => {
    const known: KnownFile = { size: 5, ctimeNs: times, mtimeNs: times, inode: 7n, lookedAt, digest: '' }
    return isUnchanged(known, Object.assign(stat, { size: 5n, ctimeNs: times, mtimeNs: times, ino: 7n }))
  }
  t.notOk(look(BigInt(at) * 1_000_000n, at + 2_000))
  t.ok(look(BigInt(at) * 1_000_000n, at + 2_200))
  t.notOk(look(BigInt(at) * 1_000_000n + 1n, at + 10))
  t.ok(look(BigInt(at) * 1_000_000n + 1n, at + 30))
  t.end()
})

function wrong(known: KnownFile): KnownFile {
  return { ...known, digest: digestOfFile(Buffer.from('something else')) }
}
