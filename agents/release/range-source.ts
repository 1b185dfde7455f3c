// A tree from parts of its full pack: those that hold what the release that serves has not. The index says where they are; it
// is believed no further than the digests of what is found there.

import { createInflater } from '@aether/artifact/inflate'
import { type PackRange, planRanges } from '@aether/artifact/range-plan'
import { createRangeReader } from '@aether/artifact/range-read'
import { fullSuffix } from '@aether/artifact/store-names'
import { TreeError } from '@aether/artifact/tree-error'
import { diffTrees, type WalkLimits } from '@aether/artifact/tree-walk'
import { hexOf } from '@aether/contract/digest'
import type { Assembly } from './assembly.ts'
import type { Download } from './download.ts'
import { bringFrames } from './frame-source.ts'
import { bringFull } from './full-source.ts'
import { readIndex } from './index-source.ts'
import { buildOnBase } from './on-base.ts'
import { type Base, openBeside, type TreeContext } from './tree-context.ts'
import { entriesOf } from './tree-plan.ts'
import type { StagedTree } from './tree-staged.ts'

const limitsOfRanges = { maxRanges: 16, maxGapBytes: 256 * 1024 }
/** Parts of more than that of the pack are not worth their requests: the whole of it is one. */
const mostOfPack = 0.8

/** All of the pack where that is cheaper. Throws what the server or the disk says, TreeError, ReasonError; then staging is as it was. */
export async function bringRanges(base: Base, context: TreeContext): Promise<StagedTree> {
  const { presumed, limits } = context
  const root = hexOf(presumed.target.digest)
  const { maxEntries, maxDepth, maxPathBytes, maxUnpackedBytes: maxBytes } = limits
  const index = await readIndex(context)
  const find = (digest: string) => index.objects.get(digest)
  const walk = { maxEntries, maxDepth, maxPathBytes, maxBytes }
  const lacking = lackingFiles(base, { root, store: find }, walk)
  const { ranges, bytes, packBytes } = planRanges(root, index, lacking, walk, limitsOfRanges)
  if (bytes > packBytes * mostOfPack) return bringFrames(index, context)
  const [first, ...others] = ranges
  const opened = first && (await openRange(first, context))
  // Who gives the whole where a part was asked for has given it.
  if (opened !== undefined && !opened.isPart) return bringFull(context, opened)
  try {
    return await buildOnBase('ranges', base, context, find, async (assemble) => {
      if (first !== undefined && opened !== undefined) await readRange(first, opened, assemble, context)
      for (const range of others) await readRange(range, await openRange(range, context), assemble, context)
    })
  } finally {
    opened?.cancel()
  }
}

/** Digests of files that the new tree has and the old one has nowhere. Throws TreeError. */
function lackingFiles({ tree }: Base, to: Parameters<typeof diffTrees>[1], walk: WalkLimits): ReadonlySet<string> {
  const old = { root: tree.root, store: (digest: string) => tree.objects.get(digest) }
  const lacking = new Set<string>()
  for (const { kind, entry } of diffTrees(old, to, walk))
    if (kind !== 'remove' && entry.kind === 'file') lacking.add(entry.digest)
  if (lacking.size > 0) for (const { entry } of entriesOf(old)) if (entry.kind === 'file') lacking.delete(entry.digest)
  return lacking
}

function openRange({ from, to }: PackRange, context: TreeContext): Promise<Download> {
  return openBeside(context, fullSuffix, { range: `bytes=${from}-${to - 1}` })
}

async function readRange(
  range: PackRange,
  download: Download,
  assemble: () => Assembly,
  { limits }: TreeContext,
): Promise<void> {
  const reader = createRangeReader(range, {
    fileBegin: (digest) => assemble().begin(digest),
    fileData: (bytes) => assemble().data(bytes),
    fileEnd: () => assemble().end(),
  })
  const inflater = createInflater(reader.write, limits)
  let left = range.to - range.from
  try {
    if (!download.isPart) throw new TreeError('extra', 'the server gives parts of the full pack, and then all of it')
    for await (const chunk of download.read()) {
      left -= chunk.length
      if (left < 0) throw new TreeError('extra', 'a part of the full pack is longer than was asked for')
      await inflater.write(chunk)
    }
    await inflater.end()
    reader.finish()
  } finally {
    inflater.abandon()
    download.cancel()
  }
}
