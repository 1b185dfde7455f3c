// An object pack as the body of a request: in memory where it is small, so that its length is known, else as it is made.
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { type DeltaContent, piecesOf, recordBytes } from '@aether/artifact/delta-write'
import { writeObjectPack } from '@aether/artifact/object-pack'
import { TreeError } from '@aether/artifact/tree-error'

export interface ObjectBody {
  make(): Promise<{ readonly bytes: number | undefined; readonly open: () => Readable }>
  /** A file that had other bytes when it was read, whose digest is therefore wrong. */
  changed(): TreeError | undefined
}

const smallBytes = 1024 * 1024
const aheadBytes = 256 * 1024

/** `onProgress` is told of bytes before they are compressed. */
export function createObjectBody(
  content: DeltaContent,
  contents: ReadonlyMap<string, string | Buffer>,
  onProgress: (done: number) => void,
): ObjectBody {
  let changed: TreeError | undefined
  let done = 0

  function* read(digest: string, size: number): Generator<Buffer> {
    for (const piece of piecesOf(contents.get(digest), digest, size)) {
      done += piece.length
      onProgress(done)
      yield piece
    }
  }
  async function write(put: (part: Uint8Array) => Promise<void>): Promise<void> {
    done = 0
    await writeObjectPack(content, read, put).catch((error: unknown) => {
      if (error instanceof TreeError) changed = error
      throw error
    })
  }

  async function whole(): Promise<Buffer> {
    const parts: Uint8Array[] = []
    await write(async (part) => void parts.push(Buffer.from(part)))
    return Buffer.concat(parts)
  }
  function stream(): Readable {
    const made = new PassThrough({ highWaterMark: aheadBytes })
    write(async (part) => {
      if (made.destroyed) throw new Error('the connection is gone')
      if (!made.write(Buffer.from(part))) await Promise.race([once(made, 'drain'), once(made, 'close')])
    }).then(
      () => made.end(),
      (error: unknown) => made.destroy(error instanceof Error ? error : new Error(String(error))),
    )
    return made
  }

  return {
    async make() {
      if (recordBytes(content) > smallBytes) return { bytes: undefined, open: stream }
      const pack = await whole()
      return { bytes: pack.length, open: () => Readable.from([pack]) }
    },
    changed: () => changed,
  }
}
