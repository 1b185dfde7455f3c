// Bytes of a tree with something wrong: refused by a TreeError, or, where they are taken, still the one form of what they say.
// PROPERTY_CASES=50000 is the long run, PROPERTY_SEED another one.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { zstdDecompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { test } from 'tap'
import { createDeltaReader, deltaHeadBytes } from './delta-pack.ts'
import { packIndex, parseIndex, placeFiles } from './index-pack.ts'
import { collector, deltaLimits, walkLimits } from './test-trees.ts'
import { digestOfFile, digestOfObject } from './tree-digest.ts'
import { TreeError } from './tree-error.ts'
import { encodeFolder, parseObject } from './tree-object.ts'
import { loadTree } from './tree-store.ts'

const cases = Number(process.env['PROPERTY_CASES'] ?? 2000)
const seed = Number(process.env['PROPERTY_SEED'] ?? 20_260)
const vectors = fileURLToPath(new URL('vectors/', import.meta.url))

const change = fc.record({
  kind: fc.constantFrom('set', 'flip', 'cut', 'insert', 'repeat', 'swap'),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  to: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  value: fc.nat(255),
})
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

function mutated(bytes: Buffer, by: Change): Buffer {
  const at = Math.floor(by.at * bytes.length)
  const copy = Buffer.from(bytes)
  if (by.kind === 'set') copy[at] = by.value
  if (by.kind === 'flip') copy[at] = (copy[at] ?? 0) ^ (1 << (by.value & 7))
  if (by.kind === 'cut') return copy.subarray(0, at)
  if (by.kind === 'insert') return Buffer.concat([copy.subarray(0, at), Buffer.from([by.value]), copy.subarray(at)])
  const part = copy.subarray(at, at + by.value)
  if (by.kind === 'repeat') return Buffer.concat([copy.subarray(0, at), part, copy.subarray(at)])
  const to = Math.floor(by.to * bytes.length)
  if (by.kind === 'swap') [copy[at], copy[to]] = [copy[to] ?? 0, copy[at] ?? 0]
  return copy
}

function isTaken(act: () => void): boolean {
  try {
    act()
    return true
  } catch (error) {
    if (error instanceof TreeError) return false
    throw error
  }
}

await test('a folder object with something wrong is refused, or is the one form of other entries', async (t) => {
  const objects = [...(await loadTree(join(vectors, 'second.tree'))).objects.values()]
  let taken = 0
  fc.assert(
    fc.property(fc.constantFrom(...objects), fc.array(change, { minLength: 1, maxLength: 2 }), (bytes, changes) => {
      const other = changes.reduce(mutated, bytes)
      const isObject = isTaken(() => {
        const object = parseObject(other)
        // What is taken again by its entries is the same bytes.
        if (object.kind === 'entries' && encodeFolder(object.entries).digest !== digestOfObject(other))
          throw new Error('two forms of one folder')
      })
      if (isObject) taken++
    }),
    { seed, numRuns: cases },
  )
  t.ok(taken > cases / 20 && taken < cases * 0.9, `${taken} of ${cases} were taken`)
})

await test('a delta pack or an index with something wrong gives nothing that is not of the tree', async (t) => {
  const first = await loadTree(join(vectors, 'first.tree'))
  const second = await loadTree(join(vectors, 'second.tree'))
  const name = readdirSync(vectors).find((one) => one.includes('.from-')) ?? ''
  const records = zstdDecompressSync(readFileSync(join(vectors, name)).subarray(deltaHeadBytes))
  let taken = 0
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 2 }), (changes) => {
      const got = collector()
      const reader = createDeltaReader(second.digest, (digest) => first.objects.has(digest), got.sink, deltaLimits)
      const isDelta = isTaken(() => {
        reader.write(changes.reduce(mutated, records))
        reader.finish()
      })
      for (const digest of got.objects.keys())
        if (!second.objects.has(digest)) throw new Error('an object of another tree')
      for (const [digest, content] of got.files)
        if (digestOfFile(content) !== digest) throw new Error('other bytes of a file')
      if (isDelta) taken++
    }),
    { seed, numRuns: cases / 4 },
  )
  t.ok(taken < cases / 8, `${taken} changed deltas were taken: a file less, and it may be in the old tree`)

  const index = zstdDecompressSync(readFileSync(join(vectors, 'second.tree.index')).subarray(15))
  const limits = { maxEntries: 1000, maxIndexBytes: 1 << 20 }
  await fc.assert(
    fc.asyncProperty(change, async (by) => {
      try {
        const read = await parseIndex(await packIndex(mutated(index, by)), second.digest, limits)
        const found = [...placeFiles(second.digest, read, walkLimits)].length
        if (found !== read.headerBlocks.length) throw new Error('not every entry is placed')
      } catch (error) {
        if (!(error instanceof TreeError)) throw error
      }
    }),
    { seed, numRuns: cases / 8 },
  )
})
