// What is physically possible for a first arrival: c-limit.c, built on the spot with Debian's compiler and libraries.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type PackIndex, parseIndex, placeFiles } from '@aether/artifact/index-pack'
import { startsOf } from '@aether/artifact/range-plan'
import { fullSuffix, indexSuffix } from '@aether/artifact/store-names'
import { fileTag } from '@aether/artifact/tree-digest'
import { textOf } from '@aether/artifact/tree-name'
import { hexOf } from '@aether/contract/digest'
import type { Say } from '@aether/e2e/kit/scenario'
import type { Contestant } from '../release/contestants.ts'
import type { RunFresh } from '../release/run-fresh.ts'
import type { Version } from './versions.ts'

const limits = {
  maxEntries: 1_000_000,
  maxIndexBytes: 2 ** 30,
  maxDepth: 100,
  maxPathBytes: 4000,
  maxBytes: 2 ** 40,
}

/** `undefined` where it cannot be built, or the tree has files of more than a frame, which it does not know. */
export async function createCLimit(
  served: string,
  { name, digest }: Version,
  work: string,
  runFresh: RunFresh,
  say: Say,
): Promise<Contestant | undefined> {
  const program = join(work, 'c-limit')
  const source = join(import.meta.dirname, 'c-limit.c')
  const built = spawnSync('gcc', ['-O2', '-o', program, source, '-lzstd', '-lcrypto', '-lpthread'], {
    encoding: 'utf8',
  })
  if (built.status !== 0) {
    say('c-limit is left out: install gcc, libzstd-dev and libssl-dev (apt-get install)')
    return undefined
  }
  const lines = planLines(
    hexOf(digest),
    await parseIndex(readFileSync(join(served, name + indexSuffix)), hexOf(digest), limits),
  )
  if (lines === undefined) {
    say('c-limit is left out: a file lies in several frames, which it does not know')
    return undefined
  }
  const planned = join(work, 'c-limit.plan')
  writeFileSync(planned, `${lines.join('\n')}\n`)
  return {
    name: 'c-limit',
    async run(_, folder) {
      const tree = join(folder, 'tree')
      await mkdir(tree)
      return { ...(await runFresh([program, join(served, name + fullSuffix), planned, tree])), tree }
    },
  }
}

/** What each frame holds, for the program; its links at the end. */
function planLines(root: string, index: PackIndex): readonly string[] | undefined {
  const [lines, links]: [string[], string[]] = [[], []]
  const starts = startsOf(index)
  const begin = (at: number) => {
    const [start, end] = [starts[at], starts[at + 1]]
    if (start !== undefined && end !== undefined)
      lines.push(`t ${start.packed} ${end.packed - start.packed} ${end.unpacked - start.unpacked}`)
  }
  let at = 0
  begin(0)
  for (const { path: name, entry, offset } of placeFiles(root, index, limits)) {
    const path = textOf(name)
    if (path === undefined || path.includes(' ')) return undefined
    while ((starts[at + 1]?.unpacked ?? Number.POSITIVE_INFINITY) <= offset) begin(++at)
    const from = offset - (starts[at]?.unpacked ?? 0)
    if (entry.kind === 'folder') lines.push(`d ${path}`)
    else if (entry.kind === 'link') links.push(`l ${path} ${entry.to}`)
    else {
      const to = from + entry.size
      if (from < fileTag.length || offset + entry.size > (starts[at + 1]?.unpacked ?? 0)) return undefined
      lines.push(`f ${entry.executable ? '755' : '644'} ${from} ${to} ${entry.digest} ${path}`)
    }
  }
  return [...lines, ...links]
}
