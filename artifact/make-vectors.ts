// Writes the test vectors of docs/artifact-format.md: `node artifact/make-vectors.ts`. The trees and the plain streams are the
// same each time; the compressed files are as this machine's zstd makes them.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { listTree } from './test-trees.ts'
import { readSource } from './tree-source.ts'
import { loadTree, writeTree } from './tree-store.ts'
import { objectVectors } from './vector-objects.ts'
import { plantFirst, plantSecond } from './vector-trees.ts'

const here = fileURLToPath(new URL('vectors/', import.meta.url))
const work = mkdtempSync(join(tmpdir(), 'aether-vectors-'))
try {
  plantFirst(work)
  const first = await writeTree(readSource(work), join(here, 'first.tree'))
  plantSecond(work)
  const from = await loadTree(join(here, 'first.tree'))
  const second = await writeTree(readSource(work), join(here, 'second.tree'), [from])
  // Paths as hex: some are no text.
  const listing = (tree: typeof first) =>
    listTree(tree.built).map((line) => {
      const [path = '', ...rest] = splitLine(line)
      return [Buffer.from(path, 'latin1').toString('hex'), ...rest].join(' ')
    })
  const vectors = {
    first: { digest: first.digest, entries: listing(first) },
    second: { digest: second.digest, entries: listing(second) },
    objects: objectVectors(),
  }
  writeFileSync(join(here, 'vectors.json'), `${JSON.stringify(vectors, undefined, 2)}\n`)
} finally {
  rmSync(work, { recursive: true, force: true })
}

function splitLine(line: string): readonly string[] {
  const found =
    /^(.*) (folder)$/s.exec(line) ??
    /^(.*?) (link) (.*)$/s.exec(line) ??
    /^(.*) ([fx]) (\d+) ([0-9a-f]{64})$/s.exec(line)
  if (found === null) throw new Error(`no line of a tree: ${line}`)
  const [, path = '', kind = '', ...rest] = found
  return [path, kind, ...(kind === 'link' ? rest.map((to) => Buffer.from(to, 'latin1').toString('hex')) : rest)]
}
