// The index of a full pack, from beside it. Its objects prove themselves; where things lie is a hint.
import { type PackIndex, parseIndex } from '@aether/artifact/index-pack'
import { indexSuffix } from '@aether/artifact/store-names'
import { TreeError } from '@aether/artifact/tree-error'
import { hexOf } from '@aether/contract/digest'
import type { Download } from './download.ts'
import { openBeside, type TreeContext } from './tree-context.ts'

const maxIndexBytes = 256 * 1024 * 1024

/** Throws what the server says, TreeError, ReasonError. */
export async function readIndex(context: TreeContext): Promise<PackIndex> {
  const { presumed, limits } = context
  const file = await readAll(await openBeside(context, indexSuffix))
  return parseIndex(file, hexOf(presumed.target.digest), { maxEntries: limits.maxEntries, maxIndexBytes })
}

async function readAll(download: Download): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of download.read()) {
    bytes += chunk.length
    if (bytes > maxIndexBytes) {
      download.cancel()
      throw new TreeError('limit', `the index has more than ${maxIndexBytes} bytes`)
    }
    parts.push(chunk)
  }
  return Buffer.concat(parts)
}
