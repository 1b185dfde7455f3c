// A tree from the delta between it and the release that serves: the objects and files that the old one has not, each held
// against its digest as it comes.

import { constants, zstdDecompressSync } from 'node:zlib'
import { createDeltaReader, type DeltaReader, deltaHeadBytes, parseDeltaHead } from '@aether/artifact/delta-pack'
import { createInflater } from '@aether/artifact/inflate'
import { deltaSuffix } from '@aether/artifact/store-names'
import { TreeError } from '@aether/artifact/tree-error'
import { hexOf } from '@aether/contract/digest'
import { buildOnBase } from './on-base.ts'
import { type Base, openBeside, type TreeContext } from './tree-context.ts'
import type { StagedTree } from './tree-staged.ts'

/** A pack of no more is unpacked at once, which for a few kilobytes costs a fraction of a stream. */
const atOnceBytes = 64 * 1024
const mostAtOnce = 4 * 1024 * 1024
const windowLogMax = 23

/** Throws what the server or the disk says, TreeError, ReasonError; then staging is as it was. */
export async function bringDelta(base: Base, context: TreeContext): Promise<StagedTree> {
  const { presumed, limits } = context
  const to = hexOf(presumed.target.digest)
  const { root: from, objects: old } = base.tree
  const download = await openBeside(context, deltaSuffix(from))
  const objects = new Map<string, Buffer>()
  const { maxEntries, maxUnpackedBytes: maxBytes } = limits
  try {
    return await buildOnBase(
      'delta',
      base,
      context,
      (digest) => objects.get(digest),
      async (assemble) => {
        const reader = createDeltaReader(
          to,
          (digest) => old.has(digest),
          {
            object: (digest, bytes) => void objects.set(digest, bytes),
            fileBegin: (digest) => assemble().begin(digest),
            fileData: (bytes) => assemble().data(bytes),
            fileEnd: () => assemble().end(),
          },
          { maxEntries, maxBytes },
        )
        await readPack(download.read(), { from, to }, reader, limits)
        reader.finish()
      },
    )
  } finally {
    download.cancel()
  }
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
