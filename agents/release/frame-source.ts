// A whole tree from its full pack, frame by frame, by two threads. The index says before what comes: the objects in it prove the
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
import { type FrameHand, startFrameHand } from './frame-hand.ts'
import { type FrameWork, planFrames } from './frame-plan.ts'
import { createLongFiles, type LongFiles } from './long-files.ts'
import { removeTree } from './remove-tree.ts'
import { openBeside, type TreeContext, wireBytes } from './tree-context.ts'
import { TreeRefused } from './tree-fault.ts'
import { provenTree, type StagedTree } from './tree-staged.ts'

/** Of tar: a thread takes 30 ms to start, in which fewer are unpacked. */
const threadBytes = 8 * 1024 * 1024

/** Throws what the server or the disk says, TreeError, ReasonError; then staging is as it was. */
export async function bringFrames(index: PackIndex, context: TreeContext): Promise<StagedTree> {
  const { presumed, layout, limits, room } = context
  const signed = presumed.confirm()
  const { digest } = presumed.target
  const folder = join(layout.staging, `${releaseName(digest)}-${uniqueName()}`)
  const plan = planFrames(hexOf(digest), index, limits)
  const unpackedBytes = index.frames.reduce((sum, { unpacked }) => sum + unpacked, 0)
  const hand = unpackedBytes < threadBytes ? undefined : startFrameHand(folder)
  const long = createLongFiles(folder)
  const take = (work: FrameWork, packed: Uint8Array<ArrayBuffer>) => {
    hand?.check()
    for (const path of work.folders) mkdirSync(`${folder}/${path}`, { mode: 0o775 })
    for (const { from, to } of [...work.files, ...work.pieces]) room.take(to - from)
    takeFrame(work, packed, folder, hand, long)
  }
  let download: Download | undefined
  try {
    download = await openBeside(context, fullSuffix)
    mkdirSync(folder, { recursive: true, mode: 0o775 })
    await readFrames(download, refusing(plan.frames()), take)
    await hand?.finish()
    // The last ones, so that no file was written while there was a link.
    for (const { path, to } of plan.links) symlinkSync(to, `${folder}/${path}`)
    // It has nothing left to do, and nobody waits for its end.
    void hand?.end()
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
    // It may still write.
    await hand?.end()
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

function takeFrame(
  { files, pieces, unpackedBytes }: FrameWork,
  packed: Uint8Array<ArrayBuffer>,
  folder: string,
  hand: FrameHand | undefined,
  long: LongFiles,
): void {
  if (pieces.length === 0 && files.length === 0) return giveBack(packed)
  if (pieces.length === 0 && hand?.isFree() === true) return hand.take({ packed, unpackedBytes, files })
  const tar = inflateFrame(packed, unpackedBytes)
  giveBack(packed)
  long.write(tar, pieces)
  writeFrameFiles(folder, tar, files)
  giveBack(tar)
}

/** Cuts what comes into frames. Throws TreeError where it is more or less than they are. */
async function readFrames(
  download: Download,
  frames: Generator<FrameWork>,
  take: (work: FrameWork, packed: Uint8Array<ArrayBuffer>) => void,
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
      take(work, packed)
      ;({ value: work, done = false } = frames.next())
      filled = 0
      packed = new Uint8Array(work?.packedBytes ?? 0)
    }
  if (!done) throw new TreeError('missing', 'the full pack is shorter than its index says')
}
