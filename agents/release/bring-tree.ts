// A tree, from the first source that gives it: the delta from the release that serves, the parts of the full pack that are
// lacking, or the whole pack; by its index, or where there is none as the archive that it is. A source that lies or breaks costs its bytes and no more: the next one is asked.
import { TreeError } from '@aether/artifact/tree-error'
import { maxObjectBytes, parseObject } from '@aether/artifact/tree-object'
import { ReasonError, refusal } from '@aether/contract/reasons'
import { readCurrent } from './activate.ts'
import { bringDelta } from './delta-source.ts'
import { toDiskError } from './disk-error.ts'
import type { ArtifactStream } from './fetch.ts'
import { bringFrames } from './frame-source.ts'
import { bringFull } from './full-source.ts'
import { heldTree } from './held-trees.ts'
import { readIndex } from './index-source.ts'
import { bringRanges } from './range-source.ts'
import { bootOf, readRecord } from './record.ts'
import type { TreeSource } from './refreshed.ts'
import type { Base, TreeContext } from './tree-context.ts'
import { TreeRefused, toTreeReason } from './tree-fault.ts'
import type { StagedTree } from './tree-staged.ts'

/** The release that serves, where it is a tree whose files are trusted and whose objects are held. */
async function findBase({ layout, presumed }: TreeContext): Promise<Base | undefined> {
  const digest = await readCurrent(layout)
  // What is damaged is no base for what is to mend it.
  if (digest === presumed.target.digest) return undefined
  const record = digest === null ? undefined : await readRecord(layout, digest)
  if (digest === null || !record?.tree || record.mended || record.boot !== (await bootOf(layout))) return undefined
  const tree = await heldTree(layout, digest)
  const { files, bytes } = record
  const { entries, ancestors } = record.tree
  return tree && { tree, totals: { entries, files, bytes }, share: { digest, bytes, ancestors } }
}

/** `undefined` where there is no delta, or none that holds: why, is in `refused` then. */
export async function tryDelta(context: TreeContext): Promise<StagedTree | undefined> {
  const base = await findBase(context)
  if (base === undefined) return undefined
  return attempt('delta', () => bringDelta(base, context), context)
}

/** `stream` begins as a tree's root does. Throws ReasonError where no source has it all. */
export async function bringTree(stream: ArtifactStream, context: TreeContext): Promise<StagedTree> {
  await readRoot(stream)
  const base = await findBase(context)
  const byIndex = async () =>
    base === undefined ? bringFrames(await readIndex(context), context) : bringRanges(base, context)
  const staged = await attempt('ranges', byIndex, context)
  if (staged !== undefined) return staged
  try {
    return await bringFull(context)
  } catch (error) {
    throw await reasonOf(error, context)
  }
}

/** Proves that the artifact is a tree; its root is small. */
async function readRoot(stream: ArtifactStream): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let bytes = 0
  await stream.drain((chunk) => {
    bytes += chunk.length
    if (bytes > maxObjectBytes)
      throw refusal('extract', 'bad_tree', `the root of the tree has more than ${maxObjectBytes} bytes`)
    parts.push(chunk)
  })
  const root = Buffer.concat(parts)
  try {
    parseObject(root)
  } catch (error) {
    throw toTreeReason(error)
  }
  return root
}

async function attempt(
  source: TreeSource,
  bring: () => Promise<StagedTree | undefined>,
  context: TreeContext,
): Promise<StagedTree | undefined> {
  try {
    return await bring()
  } catch (thrown) {
    if (thrown instanceof TreeRefused) throw thrown.cause
    const error = await reasonOf(thrown, context)
    if (context.downloads.signal.aborted || !(error instanceof ReasonError) || !isOfSource(error)) throw error
    // Nobody made one: that is no fault.
    if (error.detail !== 'not_found' && error.detail !== 'forbidden') context.refused.push({ source, error })
    return undefined
  }
}

async function reasonOf(error: unknown, { layout }: TreeContext): Promise<unknown> {
  return toTreeReason(error instanceof TreeError ? error : await toDiskError(error, layout.root))
}

/** What another source may be free of. Who is busy, and says for how long, is left alone. */
function isOfSource({ reason, retryAfterMs }: ReasonError): boolean {
  return retryAfterMs === undefined && (reason === 'download' || reason === 'checksum' || reason === 'extract')
}
