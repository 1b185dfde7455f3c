// Compressed bytes in, the tar inside out: gzip (RFC 1952) or zstd (RFC 8878), told apart by their first bytes. zlib works
// in the thread pool; what it gives is handed on in a turn of its own, so that the next part is inflated meanwhile.
import { constants, createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from 'node:zlib'
import { refusal } from '@aether/contract/reasons'

export interface InflateLimits {
  /** Bytes of tar to a byte of the artifact; asked once there are many. */
  readonly maxUnpackRatio: number
}

export interface Inflater {
  /**
   * Resolves when more may be written. Rejects with a ReasonError `extract`, or with what `take` threw. The chunk is the
   * inflater's from then on, and its memory is given back.
   */
  write(chunk: Uint8Array): Promise<void>
  /** All was taken, and nothing stands behind the compressed stream. */
  end(): Promise<void>
  /** Frees what is held. */
  abandon(): void
}

/** Up to here any ratio is taken: a small archive of zeros harms nobody. */
const ratioFloorBytes = 64 * 1024 * 1024
/** Of what is inflated at once: less costs a turn of the event loop more often, more costs memory. */
const partBytes = 512 * 1024
const mostParts = 2
/** Of compressed bytes: zlib must find some more when it is done with a chunk. */
const mostWaitingBytes = 256 * 1024
/** log2 of the largest zstd window, RFC 8878 3.1.1.1.2: the 8 MiB that all levels up to 19 stay in. */
const windowLogMax = 23

/** `take` gets the parts in order; a part's bytes are gone once it returns. */
export function createInflater(take: (part: Uint8Array) => void, limits: InflateLimits): Inflater {
  let stream: Gunzip | ZstdDecompress | undefined
  let first = Buffer.alloc(0)
  let [taken, inflated, waiting] = [0, 0, 0]
  const parts: Buffer[] = []
  let isTaking = false
  let failure: { readonly error: unknown } | undefined
  let wake = () => {}

  function fail(error: unknown): void {
    failure ??= { error }
    parts.length = 0
    wake()
  }
  function open(kind: 'gzip' | 'zstd'): Gunzip | ZstdDecompress {
    const sizes = { chunkSize: partBytes, highWaterMark: partBytes }
    const made =
      kind === 'gzip'
        ? createGunzip(sizes)
        : createZstdDecompress({ ...sizes, params: { [constants.ZSTD_d_windowLogMax]: windowLogMax } })
    made.on('error', (error) => fail(toReason(error)))
    made.on('end', () => wake())
    made.on('data', (part: Buffer) => {
      if (failure !== undefined) return
      parts.push(part)
      if (parts.length >= mostParts) made.pause()
      if (!isTaking) setImmediate(takeNext)
      isTaking = true
    })
    return made
  }
  function takeNext(): void {
    const part = parts.shift()
    isTaking = part !== undefined
    if (part === undefined) return wake()
    try {
      inflated += part.length
      if (inflated > ratioFloorBytes && inflated > taken * limits.maxUnpackRatio)
        throw refusal(
          'extract',
          'limit',
          `the artifact unpacks to more than ${limits.maxUnpackRatio} times its bytes: raise AETHER_MAX_UNPACK_RATIO if that is right`,
        )
      take(part)
      // zlib goes on in the same buffer until it is full.
      if (part.byteOffset + part.length === part.buffer.byteLength) free(part)
    } catch (error) {
      fail(error)
    }
    if (stream?.isPaused() === true) stream.resume()
    setImmediate(takeNext)
  }
  /** Until `isSo` or a failure. */
  async function until(isSo: () => boolean): Promise<void> {
    while (!isSo() && failure === undefined)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    if (failure !== undefined) throw failure.error
  }

  return {
    async write(chunk) {
      taken += chunk.length
      let bytes = chunk
      if (stream === undefined) {
        first = Buffer.concat([first, chunk])
        if (first.length < 4) return
        stream = open(kindOf(first))
        bytes = first
      }
      waiting += bytes.length
      stream.write(bytes, () => {
        waiting -= bytes.length
        // A view of a part of a buffer may have neighbours.
        if (bytes.length === bytes.buffer.byteLength) free(bytes)
        wake()
      })
      await until(() => waiting < mostWaitingBytes)
    },
    async end() {
      if (stream === undefined)
        throw refusal('extract', 'truncated', `the artifact has ${taken} bytes and no more: pack it again`)
      const opened = stream.end()
      await until(() => opened.readableEnded && parts.length === 0)
      // Both stop to look where they find the end, or zeros.
      if (opened.bytesWritten !== taken)
        throw refusal(
          'extract',
          'bad_compression',
          'the artifact has something behind its compressed end: pack it again',
        )
    },
    abandon() {
      fail(new Error('abandoned'))
      stream?.destroy()
    },
  }
}

/** By the first four bytes. Throws ReasonError `extract`. */
function kindOf(bytes: Buffer): 'gzip' | 'zstd' {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return 'gzip'
  const magic = bytes.readUInt32LE(0)
  // A zstd frame, or a skippable one before it.
  if (magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50) return 'zstd'
  throw unknownFormat()
}

function unknownFormat() {
  return refusal('extract', 'bad_compression', 'the artifact is neither gzip nor zstd: pack it as .tar.gz or .tar.zst')
}

/** Gives memory back now: the garbage collector, which sees small objects alone, would let it grow by tens of megabytes. */
function free({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0)
}

function toReason(error: Error): unknown {
  const code = 'code' in error ? error.code : ''
  if (code === 'Z_BUF_ERROR')
    return refusal('extract', 'truncated', 'the artifact ends in the middle of its compressed stream: pack it again', {
      cause: error,
    })
  if (code === 'ZSTD_error_frameParameter_windowTooLarge')
    return refusal(
      'extract',
      'limit',
      `the artifact needs a zstd window of more than ${2 ** (windowLogMax - 20)} MiB: pack it without --long and --ultra`,
      { cause: error },
    )
  return refusal(
    'extract',
    'bad_compression',
    `the artifact's compressed stream is damaged (${error.message}): pack it again`,
    {
      cause: error,
    },
  )
}
