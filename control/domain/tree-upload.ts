// Takes a pack of objects in as it streams. What came whole is kept, however the stream ends, so who was cut off sends the rest:
//  1 append to a pack of the upload's own, hashing on the way
//  2 every so often, and at the end, make it durable and write down what came whole; from then on it is there
//  3 cut off what did not come whole
import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdDecompress } from 'node:zlib'
import { createObjectReader } from '@aether/artifact/object-pack'
import { ControlError } from './errors.ts'
import type { AppName, StoredPlace } from './model.ts'
import type { PackWriter, Store, TreeBlobs } from './ports.ts'
import type { TakenObjects } from './services.ts'
import { toTreeProblem } from './tree-fault.ts'

type Came = Omit<StoredPlace, 'pack' | 'isNamed'>

export interface UploadLimits {
  /** Of the pack as it comes. */
  readonly maxArtifactBytes: number
  readonly maxUnpackedBytes: number
}

const [partBytes, partObjects] = [32 * 1024 * 1024, 4_096]
const windowLogMax = 23

export async function takeObjects(
  app: AppName,
  body: AsyncIterable<Uint8Array>,
  store: Pick<Store, 'addObjects'>,
  blobs: Pick<TreeBlobs, 'createPack'>,
  { maxArtifactBytes, maxUnpackedBytes }: UploadLimits,
): Promise<TakenObjects> {
  const id = randomUUID()
  let pack: PackWriter | undefined
  let waiting: Uint8Array[] = []
  // Proven, but not yet on disk; and on disk, but not yet written down.
  let [proven, whole]: [Came[], Map<string, Came>] = [[], new Map()]
  let now: Came = { digest: '', kind: 'file', at: 0, bytes: 0 }
  let [at, keptAt, wholeAt, objects] = [0, 0, 0, 0]

  const reader = createObjectReader(
    {
      begin(kind, digest, bytes) {
        now = { kind, digest, bytes, at }
      },
      data(part) {
        waiting.push(part)
        at += part.length
      },
      end: () => void proven.push(now),
    },
    maxUnpackedBytes,
  )

  // 1
  async function append(): Promise<void> {
    const [parts, done] = [waiting, proven]
    // Where the disk refuses, none of them is there.
    waiting = []
    proven = []
    if (parts.length === 0) return
    pack ??= await blobs.createPack({ app, id })
    await pack.append(parts)
    for (const one of done) whole.set(one.digest, one)
    const last = done.at(-1)
    if (last !== undefined) wholeAt = last.at + last.bytes
  }
  // 2
  async function save(): Promise<void> {
    if (whole.size === 0) return
    await pack?.sync()
    // Before it is written down, since nobody knows whether that was done where its answer is lost.
    keptAt = wholeAt
    await store.addObjects(app, id, [...whole.values()])
    objects += whole.size
    whole = new Map()
  }
  async function* packed(): AsyncGenerator<Uint8Array> {
    let bytes = 0
    for await (const part of body) {
      bytes += part.length
      if (bytes > maxArtifactBytes)
        throw new ControlError(
          'too_large',
          `the pack has more than ${maxArtifactBytes} bytes (AETHER_MAX_ARTIFACT_BYTES): send what is lacking in several`,
        )
      yield reader.head(part)
    }
  }

  let failure: { readonly error: unknown } | undefined
  try {
    await pipeline(
      Readable.from(packed(), { objectMode: false }),
      createZstdDecompress({ chunkSize: 128 * 1024, params: { [constants.ZSTD_d_windowLogMax]: windowLogMax } }),
      async (parts: AsyncIterable<Uint8Array>) => {
        for await (const part of parts) {
          reader.write(part)
          await append()
          if (wholeAt - keptAt >= partBytes || whole.size >= partObjects) await save()
        }
      },
    )
    reader.finish()
  } catch (error) {
    failure = { error }
  }
  try {
    await append()
    await save()
  } catch (error) {
    failure ??= { error } // what went wrong first says more
  }
  // 3
  await pack?.close(keptAt)
  if (failure !== undefined) throw toTreeProblem(failure.error)
  return { objects, bytes: keptAt }
}
