// Cuts a stream into its zstd frames, by the sizes that their headers and blocks say (RFC 8878, 3.1.1), without unpacking any.
import { TreeError } from '@aether/artifact/tree-error'

export interface Frame {
  readonly packed: Buffer
  /** As its header says. */
  readonly unpackedBytes: number
}

export interface FrameCutter {
  /** The frames that are whole now; `undefined` once the stream turned out to be no row of small frames. */
  push(chunk: Uint8Array): readonly Frame[] | undefined
  /** What no frame was made of. */
  rest(): Buffer
}

/** Of a frame, packed and unpacked: packs have a MiB. */
const mostFrameBytes = 2 * 1024 * 1024
const magic = 0xfd2fb528

export function createFrameCutter(): FrameCutter {
  let pending: Buffer = Buffer.alloc(0)
  let isCut = false

  return {
    push(chunk) {
      pending = pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([pending, chunk])
      const frames: Frame[] = []
      for (let at = 0; ; ) {
        const found = measure(pending.subarray(at))
        if (found === 'strange' || (found === undefined && pending.length - at > mostFrameBytes)) {
          if (!isCut && frames.length === 0) return undefined
          throw new TreeError('malformed', 'the full pack has a frame that is none, or larger than they are')
        }
        if (found === undefined) {
          pending = pending.subarray(at)
          isCut ||= frames.length > 0
          return frames
        }
        frames.push({ packed: pending.subarray(at, at + found.bytes), unpackedBytes: found.unpackedBytes })
        at += found.bytes
      }
    },
    rest: () => pending,
  }
}

/** The frame at the beginning; `undefined` where it is not whole yet. */
function measure(bytes: Buffer): { readonly bytes: number; readonly unpackedBytes: number } | 'strange' | undefined {
  if (bytes.length < 18) return bytes.length >= 4 && bytes.readUInt32LE(0) !== magic ? 'strange' : undefined
  if (bytes.readUInt32LE(0) !== magic) return 'strange'
  const descriptor = bytes[4] ?? 0
  const isSingle = (descriptor & 0x20) !== 0
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0
  if (sizeBytes === 0) return 'strange'
  let at = 5 + (isSingle ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] ?? 0)
  const unpackedBytes = sizeAt(bytes, at, sizeBytes)
  if (unpackedBytes > mostFrameBytes) return 'strange'
  at += sizeBytes
  for (let isLast = false; !isLast; ) {
    if (at + 3 > bytes.length) return undefined
    const header = bytes.readUIntLE(at, 3)
    isLast = (header & 1) === 1
    // A block of type 1 is one byte, many times.
    at += 3 + (((header >> 1) & 3) === 1 ? 1 : header >> 3)
  }
  at += (descriptor & 4) === 0 ? 0 : 4
  return at > bytes.length ? undefined : { bytes: at, unpackedBytes }
}

function sizeAt(bytes: Buffer, at: number, length: number): number {
  if (length === 8) return Number(bytes.readBigUInt64LE(at))
  // Two bytes say 256 less.
  return bytes.readUIntLE(at, length) + (length === 2 ? 256 : 0)
}
