// Reads folder objects and files out of an app's packs, each held against its digest. What is asked for in the order in which it was
// sent is read in blocks. What is lost or damaged is forgotten, so that the next deploy sends it again.
import { createFileHash, digestOfObject } from '@aether/artifact/tree-digest'
import { ControlError } from './errors.ts'
import type { AppName, StoredPlace } from './model.ts'
import type { Store, TreeBlobs } from './ports.ts'

export interface TreeBytes {
  object(place: StoredPlace): Promise<Buffer>
  /** In pieces, each a buffer that nobody writes to again. The last one comes when the digest of all holds. */
  file(place: StoredPlace): AsyncGenerator<Buffer>
  close(): Promise<void>
}

interface Block {
  readonly at: number
  readonly bytes: Buffer
}

const blockBytes = 512 * 1024
const mostBlocks = 8

/** As they lie in their packs, so that a block that was read serves the next one too. */
export function inPackOrder(places: readonly StoredPlace[]): readonly StoredPlace[] {
  return places.toSorted((a, b) => (a.pack === b.pack ? a.at - b.at : a.pack < b.pack ? -1 : 1))
}

/** `lost` is told when something was forgotten. Each throws `unknown_artifact` then. */
export function openTreeBytes(
  app: AppName,
  store: Pick<Store, 'losePacks'>,
  blobs: Pick<TreeBlobs, 'openPacks'>,
  lost: (app: AppName) => void,
): TreeBytes {
  const packs = blobs.openPacks(app)
  const blocks = new Map<string, Block>()

  async function read({ pack, digest }: StoredPlace, at: number, length: number): Promise<Buffer> {
    const known = blocks.get(pack)
    if (known !== undefined && at >= known.at && at + length <= known.at + known.bytes.length)
      return known.bytes.subarray(at - known.at, at - known.at + length)
    const bytes = await packs.read(pack, at, length, Math.max(length, blockBytes)).catch((error: unknown) => {
      if (error instanceof ControlError && error.code === 'unknown_artifact') return forget(pack, digest, error)
      throw error
    })
    blocks.delete(pack)
    blocks.set(pack, { at, bytes })
    for (const oldest of blocks.keys()) if (blocks.size > mostBlocks) blocks.delete(oldest)
    return bytes.subarray(0, length)
  }

  async function forget(pack: string, digest: string, cause?: unknown): Promise<never> {
    lost(app)
    await store.losePacks([{ app, id: pack }])
    throw new ControlError(
      'unknown_artifact',
      `the bytes of ${digest} of ${app} are lost or damaged: deploy the app again, which sends them again`,
      { cause },
    )
  }

  return {
    async object(place) {
      const bytes = await read(place, place.at, place.bytes)
      if (digestOfObject(bytes) !== place.digest) return forget(place.pack, place.digest)
      return bytes
    },
    async *file(place) {
      const hash = createFileHash()
      for (let done = 0; done < place.bytes; ) {
        const piece = await read(place, place.at + done, Math.min(blockBytes, place.bytes - done))
        hash.update(piece)
        done += piece.length
        if (done === place.bytes && hash.digest('hex') !== place.digest) await forget(place.pack, place.digest)
        yield piece
      }
    },
    close: packs.close,
  }
}
