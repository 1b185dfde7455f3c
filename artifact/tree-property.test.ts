// Whatever the tree and whatever changes in it: the old tree with the delta applied is the new one, built from scratch.
// PROPERTY_CASES=5000 is the long run, PROPERTY_SEED another one.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as fc from 'fast-check'
import { test } from 'tap'
import { applyDelta, listFolder, listTree, type Planted, plant, readDelta } from './test-trees.ts'
import { buildTree } from './tree-build.ts'
import { diskPath } from './tree-name.ts'
import { readSource } from './tree-source.ts'
import { loadTree, writeTree } from './tree-store.ts'

const cases = Number(process.env['PROPERTY_CASES'] ?? 250)
const seed = Number(process.env['PROPERTY_SEED'] ?? 20_260)

// Few names, so that they meet; orders that differ by bytes, by UTF-16 and by what lies below a folder; bytes that are no text.
const names = [
  'a',
  'a.b',
  'a-',
  'A',
  'b',
  'z'.repeat(120),
  'é',
  '\u00ef\u00bd\u009e',
  '\u00f0\u009f\u009a\u0080',
  '\xff\xfe',
  ' ',
]
const name = fc.constantFrom(...names)
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
const content = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('', 'one', 'two', 'three\n'.repeat(90)) },
  { weight: 3, arbitrary: fc.uint8Array({ maxLength: 1500 }) },
  { weight: 1, arbitrary: fc.integer({ min: 500_000, max: 2_300_000 }).map((size) => new Uint8Array(size).fill(size)) },
)
const item: fc.Arbitrary<Planted> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('file' as const), content, executable: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('link' as const), to: path }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'folder' as const }) },
)
/** A folder of many files: a branch, more often than not. */
const crowd = fc.record({ folder: name, count: fc.integer({ min: 100, max: 400 }), from: fc.nat(400) })

const tree = fc.record({
  items: fc.array(fc.tuple(path, item), { minLength: 1, maxLength: 14 }),
  crowds: fc.oneof(
    { weight: 5, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(crowd, { maxLength: 2 }) },
  ),
})
const edit = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('put' as const), path, item }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('drop' as const), path }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('move' as const), path, to: path }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('copy' as const), path, to: path }) },
  { weight: 1, arbitrary: crowd.map((one) => ({ kind: 'crowd' as const, ...one, count: 1 + (one.count % 5) })) },
)
type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never

await test('a delta applied to the old tree is the new tree, built from scratch', async (t) => {
  // In memory, where that can be had: it makes thousands of files a second.
  const base = existsSync('/dev/shm') ? mkdtempSync('/dev/shm/aether-trees-') : t.testdir({})
  t.teardown(() => rmSync(base, { recursive: true, force: true }))
  const [work, held, out] = [join(base, 'work'), join(base, 'held'), join(base, 'out')]
  let [same, records, branches] = [0, 0, 0]

  await fc.assert(
    fc.asyncProperty(tree, fc.array(edit, { minLength: 1, maxLength: 6 }), async (first, edits) => {
      for (const folder of [work, held, out]) rmSync(folder, { recursive: true, force: true })
      mkdirSync(work)
      plant(work, 'server.js', { kind: 'file', content: '1' })
      for (const [where, what] of first.items) attempt(() => plant(work, where, what))
      for (const each of first.crowds) attempt(() => gather(work, each))
      const old = await writeTree(readSource(work), join(out, 'old.tree'))
      copy(work, held)
      strictEqual(listTree(old.built), listFolder(work), 'the tree says something else than the folder')

      for (const each of edits) attempt(() => change(work, each))
      const from = await loadTree(join(out, 'old.tree'))
      const next = await writeTree(readSource(work), join(out, 'new.tree'), [from])
      const [delta] = next.deltas
      if (delta === undefined) {
        same++
        return strictEqual(listFolder(work), listFolder(held), 'a change changed no digest')
      }
      const read = await readDelta(delta.file, from, next.built.digest)
      records += read.objects.size + read.files.size
      if ([...next.built.objects.values()].some((bytes) => bytes[14] === 2)) branches++
      applyDelta(held, from, next.built.digest, read)
      strictEqual(listFolder(held), listFolder(work), 'the trees differ')
      const again = await buildTree(readSource(held))
      strictEqual([again.digest], [next.built.digest], 'the same files gave two digests')
    }),
    { seed, numRuns: cases, endOnFailure: cases > 1000 },
  )
  t.comment(`seed ${seed}: ${cases} cases, ${same} changed nothing, ${branches} with branches, ${records} records`)
  t.ok(same < cases / 2)
  t.ok(branches > cases / 50)
})

function change(root: string, by: Edit): void {
  const place = (below: string) => diskPath(`${root}/${below}`)
  if (by.kind === 'put') plant(root, by.path, by.item)
  else if (by.kind === 'crowd') gather(root, by)
  else if (by.kind === 'drop') rmSync(place(by.path), { recursive: true })
  else if (existsSync(place(by.path)) && !existsSync(place(by.to))) {
    const to = by.to.includes('/') ? dirname(by.to) : ''
    mkdirSync(place(to), { recursive: true })
    if (by.kind === 'move') renameSync(place(by.path), place(by.to))
    else copy(String(place(by.path)), String(place(by.to)))
  }
}

function gather(root: string, { folder, count, from }: { folder: string; count: number; from: number }): void {
  for (let at = from; at < from + count; at++)
    plant(root, `${folder}/part-${at}`, { kind: 'file', content: `${at % 7}` })
}

/** By cp: `cpSync` of Node 26 ends the process at a symlink that leads nowhere. */
function copy(from: string, to: string): void {
  spawnSync('cp', ['-a', '--', from, to])
}

/** What cannot be, such as a file below a file, is no part of the case. */
function attempt(act: () => void): void {
  try {
    act()
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
  }
}

function strictEqual(is: readonly string[], wanted: readonly string[], what: string): void {
  if (is.join('\n') !== wanted.join('\n'))
    throw new Error(`${what}:\n${is.join('\n')}\n--- wanted ---\n${wanted.join('\n')}`)
}
