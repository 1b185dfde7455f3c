// A tree from the delta between it and the release that serves: the objects and files that the old one has not. Each is held
// against its digest as it comes; what does not come is linked from the old release, whose files are true (docs/adr/0013).
import { constants, zstdDecompressSync } from 'node:zlib'
import {
  createDeltaReader,
  type DeltaReader,
  type DeltaSink,
  deltaHeadBytes,
  parseDeltaHead,
} from '@aether/artifact/delta-pack'
import { createInflater } from '@aether/artifact/inflate'
import { TreeError } from '@aether/artifact/tree-error'
import { diskPath } from '@aether/artifact/tree-name'
import { hexOf } from '@aether/contract/digest'
import { releasePath } from './activate.ts'
import { type Assembly, beginAssembly } from './assembly.ts'
import { removeTree } from './remove-tree.ts'
import { ancestorsOf } from './shares.ts'
import { returnClone, takeClone } from './standby.ts'
import { type Base, openBeside, type TreeContext, wireBytes } from './tree-context.ts'
import { entriesOf, planChanges } from './tree-plan.ts'
import { provenTree, type StagedTree } from './tree-staged.ts'

/** A pack of no more is unpacked at once, which for a few kilobytes costs a fraction of a stream. */
const atOnceBytes = 64 * 1024
const mostAtOnce = 4 * 1024 * 1024
const windowLogMax = 23

/** Throws what the server or the disk says, TreeError, ReasonError; then staging is as it was. */
export async function bringDelta(base: Base, context: TreeContext): Promise<StagedTree> {
  const { signed, layout, limits, room, downloads } = context
  const wanted = hexOf(signed.target.digest)
  const { tree } = base
  const download = await openBeside(context, `.from-${tree.root}`)
  const objects = new Map<string, Buffer>()
  const find = (digest: string) => objects.get(digest) ?? tree.objects.get(digest)
  const folder = await takeClone(layout, tree, downloads.signal).catch((error: unknown) => {
    download.cancel()
    throw error
  })
  const started: Assembly[] = []

  /** Once all objects are here: with the first file, or without any. */
  function assemble(): Assembly {
    const [known] = started
    if (known !== undefined) return known
    const plan = planChanges({ root: tree.root, store: find }, base.totals, { root: wanted, store: find }, limits)
    const made = beginAssembly(folder, layout.staging, plan, room)
    started.push(made)
    return made
  }
  const sink: DeltaSink = {
    object: (digest, bytes) => void objects.set(digest, bytes),
    fileBegin: (digest) => assemble().begin(digest),
    fileData: (bytes) => assemble().data(bytes),
    fileEnd: () => assemble().end(),
  }
  const { maxEntries, maxUnpackedBytes: maxBytes } = limits
  const reader = createDeltaReader(wanted, (digest) => tree.objects.has(digest), sink, { maxEntries, maxBytes })

  try {
    await readPack(download.read(), { from: tree.root, to: wanted }, reader, limits)
    reader.finish()
    const made = assemble()
    linkMoved(made, base, releasePath(layout, tree.digest))
    for (const away of made.away) await removeTree(away)
    const { totals } = made
    const { files, bytes } = made.written()
    return provenTree(signed, {
      folder,
      totals,
      source: 'delta',
      wireBytes: wireBytes(context),
      reusedFiles: totals.files - files,
      reusedBytes: totals.bytes - bytes,
      ancestors: ancestorsOf(base.share, bytes),
      find,
    })
  } catch (error) {
    download.cancel()
    const [assembly] = started
    if (assembly === undefined) returnClone(layout, tree, folder)
    else await discard(folder, assembly)
    throw error
  }
}

export async function discard(folder: string, assembly: Assembly): Promise<void> {
  assembly.abandon()
  for (const away of assembly.away) await removeTree(away)
  await removeTree(folder)
}

async function readPack(
  chunks: AsyncIterable<Uint8Array>,
  wanted: { readonly from: string; readonly to: string },
  reader: DeltaReader,
  limits: TreeContext['limits'],
): Promise<void> {
  let begun: Buffer = Buffer.alloc(0)
  let inflater: ReturnType<typeof createInflater> | undefined
  let isHeadRead = false
  try {
    for await (const chunk of chunks) {
      if (inflater !== undefined) {
        await inflater.write(chunk)
        continue
      }
      begun = Buffer.concat([begun, chunk])
      if (!isHeadRead && begun.length >= deltaHeadBytes) {
        checkHead(begun, wanted)
        isHeadRead = true
      }
      if (begun.length <= atOnceBytes + deltaHeadBytes) continue
      inflater = createInflater(reader.write, limits)
      await inflater.write(Buffer.from(begun.subarray(deltaHeadBytes)))
    }
    if (inflater !== undefined) return await inflater.end()
    if (!isHeadRead) checkHead(begun, wanted)
    const packed = begun.subarray(deltaHeadBytes)
    const unpacked = unpackAtOnce(packed)
    if (unpacked !== undefined) return reader.write(unpacked)
    inflater = createInflater(reader.write, limits)
    await inflater.write(Buffer.from(packed))
    await inflater.end()
  } finally {
    inflater?.abandon()
  }
}

function checkHead(bytes: Buffer, wanted: { readonly from: string; readonly to: string }): void {
  const { from, to } = parseDeltaHead(bytes)
  if (from !== wanted.from || to !== wanted.to)
    throw new TreeError(
      'extra',
      `the delta pack goes from ${from} to ${to}, and not from ${wanted.from} to ${wanted.to}`,
    )
}

/** `undefined` where it is too much for that. */
function unpackAtOnce(packed: Buffer): Buffer | undefined {
  try {
    return zstdDecompressSync(packed, {
      maxOutputLength: mostAtOnce,
      params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
    })
  } catch (cause) {
    if (cause instanceof RangeError) return undefined
    throw new TreeError('malformed', 'the delta pack is not compressed as zstd', { cause })
  }
}

/** What did not come is somewhere else in the old tree, or the pack is not whole. */
function linkMoved(assembly: Assembly, { tree }: Base, release: string): void {
  if (assembly.missing().size > 0)
    for (const { path, entry } of entriesOf({ root: tree.root, store: (digest) => tree.objects.get(digest) })) {
      if (entry.kind !== 'file' || !assembly.missing().has(entry.digest)) continue
      assembly.link(entry.digest, `${release}/${String(diskPath(path))}`, entry.executable)
      if (assembly.missing().size === 0) return
    }
  for (const digest of assembly.missing())
    throw new TreeError('missing', `the file ${digest} is neither in the delta pack nor in the release before`)
}
