// The vectors are what the format is: our own reader, our own writer, GNU tar and a second reader in Python agree on them.
import { spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { zstdDecompressSync } from 'node:zlib'
import { type Test, test } from 'tap'
import { deltaHeadBytes } from './delta-pack.ts'
import { listFolder, listTree } from './test-trees.ts'
import { digestOfObject } from './tree-digest.ts'
import { TreeError } from './tree-error.ts'
import { parseObject } from './tree-object.ts'
import { readSource } from './tree-source.ts'
import { loadTree, writeTree } from './tree-store.ts'
import { objectVectors } from './vector-objects.ts'
import { plantFirst, plantSecond } from './vector-trees.ts'

const vectors = fileURLToPath(new URL('vectors/', import.meta.url))
const indexMagicBytes = 15

/** The plain stream of a file of a store. */
function inflated(file: string): Buffer {
  const bytes = readFileSync(file)
  const plain = file.endsWith('.full') ? 0 : file.endsWith('.index') ? indexMagicBytes : deltaHeadBytes
  return Buffer.concat([bytes.subarray(0, plain), zstdDecompressSync(bytes.subarray(plain))])
}

function has(t: Test, program: string): boolean {
  const found = spawnSync(program, ['--version']).status === 0
  if (!found) t.comment(`${program} is not here: what it would have said of the vectors was not asked`)
  return found
}

await test('the vectors are made again, byte for byte once inflated', async (t) => {
  const base = t.testdir({ work: {}, out: {} })
  const [work, out] = [join(base, 'work'), join(base, 'out')]
  plantFirst(work)
  await writeTree(readSource(work), join(out, 'first.tree'))
  plantSecond(work)
  await writeTree(readSource(work), join(out, 'second.tree'), [await loadTree(join(vectors, 'first.tree'))])
  const names = readdirSync(vectors).filter((name) => name.includes('.tree'))
  t.strictSame(readdirSync(out).toSorted(), names.toSorted(), 'and no file besides')
  t.equal(names.length, 7)
  for (const name of names) {
    const [theirs, ours] = [join(vectors, name), join(out, name)].map((file) =>
      name.endsWith('.tree') ? readFileSync(file) : inflated(file),
    )
    // The lengths of the frames in an index are those of this machine's zstd.
    if (!name.endsWith('.index')) t.ok(theirs?.equals(ours ?? Buffer.alloc(0)), `${name} is the same`)
  }
  for (const name of ['first.tree', 'second.tree'])
    t.strictSame(listTree(await loadTree(join(out, name))), listTree(await loadTree(join(vectors, name))))
})

await test('a second reader, in Python, verifies the vectors', {
  skip: spawnSync('python3', ['--version']).status !== 0 && 'python3 is not on PATH: apt-get install python3',
}, (t) => {
  const folder = t.testdir({})
  for (const name of readdirSync(vectors)) {
    const file = join(vectors, name)
    if (name.includes('.tree') || name === 'vectors.json') copyFileSync(file, join(folder, name))
    if (name.includes('.tree.')) writeFileSync(join(folder, `${name}.raw`), inflated(file))
  }
  const read = () =>
    spawnSync('python3', [join(vectors, 'read_trees.py'), folder], { encoding: 'utf8', timeout: 60_000 })
  const ran = read()
  t.equal(ran.status, 0, ran.stderr)
  t.comment(ran.stdout.trimEnd().replaceAll('\n', '; '))
  const delta = readdirSync(folder).find((name) => /from-.*raw$/.test(name)) ?? ''
  const bytes = readFileSync(join(folder, delta))
  bytes[bytes.length - 1] = 0x7f
  writeFileSync(join(folder, delta), bytes)
  t.match(read().stderr, /Refused: a file/, 'and can fail')
  t.end()
})

await test('any tar with zstd unpacks a full pack', (t) => {
  if (has(t, 'zstd'))
    for (const name of ['first', 'second']) {
      const folder = t.testdir({ wanted: {}, got: {} })
      plantFirst(join(folder, 'wanted'))
      if (name === 'second') plantSecond(join(folder, 'wanted'))
      const file = join(vectors, `${name}.tree.full`)
      const ran = spawnSync('tar', ['--zstd', '-xf', file, '-C', join(folder, 'got')], { encoding: 'utf8' })
      t.equal(ran.stderr, '')
      t.strictSame(listFolder(join(folder, 'got')), listFolder(join(folder, 'wanted')))
    }
  t.end()
})

await test('folder objects are taken or refused as the vectors say', (t) => {
  for (const { what, hex, digest } of objectVectors()) {
    const bytes = Buffer.from(hex, 'hex')
    if (digest === null) t.throws(() => parseObject(bytes), TreeError, what)
    else t.equal(parseObject(bytes) && digestOfObject(bytes), digest, what)
  }
  t.strictSame(JSON.parse(readFileSync(join(vectors, 'vectors.json'), 'utf8')).objects, objectVectors())
  t.end()
})
