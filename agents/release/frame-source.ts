// A whole tree from its full pack, frame by frame, inflated ahead by zlib's threads. The index says before what comes: the objects in it prove the
// tree, each entry is admitted before it is made, and each file is held against its own digest. So a frame needs no reader of
// archives, and may be anybody's.
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { PackIndex } from '@aether/artifact/index-pack'
import { fullSuffix } from '@aether/artifact/store-names'
import { TreeError } from '@aether/artifact/tree-error'
import { hexOf } from '@aether/contract/digest'
import { releaseName } from '@aether/contract/layout'
import { uniqueName } from '@aether/runtime/unique-name'
import type { Download } from './download.ts'
import { giveBack, inflateFrame, writeFrameFiles } from './frame-files.ts'
import { type FrameWork, planFrames } from './frame-plan.ts'
import { createLongFiles } from './long-files.ts'
import { removeTree } from './remove-tree.ts'
import { openBeside, type TreeContext, wireBytes } from './tree-context.ts'
import { TreeRefused } from './tree-fault.ts'
import { provenTree, type StagedTree } from './tree-staged.ts'

/** Frames that zlib's threads inflate while this one writes and hashes the files of those before. */
const mostAhead = 2

interface Inflating {
  readonly work: FrameWork
  readonly tar: Promise<Uint8Array>
}

/** Throws what the server or the disk says, TreeError, ReasonError; then staging is as it was. */
export async function bringFrames(index: PackIndex, context: TreeContext): Promise<StagedTree> {
  const { presumed, layout, limits, room } = context
  const signed = presumed.confirm()
  const { digest } = presumed.target
  const folder = join(layout.staging, `${releaseName(digest)}-${uniqueName()}`)
  const plan = planFrames(hexOf(digest), index, limits)
  const long = createLongFiles(folder)
  const ahead: Inflating[] = []
  const writeNext = async () => {
    const next = ahead.shift()
    if (next === undefined) return
    const { folders, files, pieces } = next.work
    const tar = await next.tar
    for (const path of folders) mkdirSync(`${folder}/${path}`, { mode: 0o775 })
    for (const { from, to } of [...files, ...pieces]) room.take(to - from)
    long.write(tar, pieces)
    writeFrameFiles(folder, tar, files)
    giveBack(tar)
  }
  const take = async (work: FrameWork, packed: Uint8Array) => {
    const tar = inflateFrame(packed, work)
    tar.catch(() => undefined) // it is awaited when its turn comes
    ahead.push({ work, tar })
    if (ahead.length > mostAhead) await writeNext()
  }
  let download: Download | undefined
  try {
    download = await openBeside(context, fullSuffix)
    mkdirSync(folder, { recursive: true, mode: 0o775 })
    await readFrames(download, refusing(plan.frames()), take)
    while (ahead.length > 0) await writeNext()
    // The last ones, so that no file was written while there was a link.
    for (const { path, to } of plan.links) symlinkSync(to, `${folder}/${path}`)
    return provenTree(signed, {
      folder,
      totals: plan.totals,
      source: 'full',
      wireBytes: wireBytes(context),
      reusedFiles: 0,
      reusedBytes: 0,
      ancestors: [],
      find: (name) => index.objects.get(name),
    })
  } catch (error) {
    download?.cancel()
    long.abandon()
    await removeTree(folder)
    throw error
  }
}

/** What breaks a rule for entries is the tree's own fault: its objects are proven. */
function* refusing(frames: Generator<FrameWork>): Generator<FrameWork> {
  try {
    yield* frames
  } catch (error) {
    throw error instanceof TreeError && error.code !== 'limit' ? error : new TreeRefused(error)
  }
}

/** Cuts what comes into frames. Throws TreeError where it is more or less than they are. */
async function readFrames(
  download: Download,
  frames: Generator<FrameWork>,
  take: (work: FrameWork, packed: Uint8Array) => Promise<void>,
): Promise<void> {
  let { value: work, done = false } = frames.next()
  let filled = 0
  let packed = new Uint8Array(work?.packedBytes ?? 0)
  for await (const chunk of download.read())
    for (let at = 0; at < chunk.length; ) {
      if (done || work === undefined) throw new TreeError('extra', 'the full pack is longer than its index says')
      const part = chunk.subarray(at, at + packed.length - filled)
      packed.set(part, filled)
      filled += part.length
      at += part.length
      if (filled < packed.length) continue
      await take(work, packed)
      ;({ value: work, done = false } = frames.next())
      filled = 0
      packed = new Uint8Array(work?.packedBytes ?? 0)
    }
  if (!done) throw new TreeError('missing', 'the full pack is shorter than its index says')
}
