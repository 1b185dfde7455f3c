// The records of a delta pack and of an object pack, docs/artifact-format.md: a head, then so many bytes of a folder object or a file.
import { TreeError } from './tree-error.ts'
import { sizeAt } from './tree-object.ts'

const digestBytes = 32
/** Of what stands before the bytes of a record: kind, digest, length. */
export const recordHeadBytes: number = 1 + digestBytes + 8
const [kindObject, kindFile] = [1, 2]

export interface RecordHead {
  readonly kind: 'object' | 'file'
  readonly digest: string
  readonly length: number
}

/** What becomes of a record's bytes. */
export interface RecordBody {
  /** The bytes are the reader's, until this returns. */
  take(part: Uint8Array): void
  /** All of them came. */
  end(): void
}

export interface RecordReader {
  /** Bytes of the stream, decompressed. Throws TreeError, and what a body throws. */
  write(part: Uint8Array): void
  /** Whether a record has begun and is not whole. */
  isInside(): boolean
}

export function encodeRecordHead(kind: 'object' | 'file', digest: string, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(recordHeadBytes)
  bytes[0] = kind === 'object' ? kindObject : kindFile
  bytes.write(digest, 1, 'hex')
  bytes.writeBigUInt64BE(BigInt(length), 1 + digestBytes)
  return bytes
}

function parseRecordHead(bytes: Buffer): RecordHead {
  const kind = bytes[0] === kindObject ? 'object' : bytes[0] === kindFile ? 'file' : undefined
  if (kind === undefined) throw new TreeError('malformed', `the pack has a record of kind ${bytes[0]}`)
  return { kind, digest: bytes.toString('hex', 1, 1 + digestBytes), length: sizeAt(bytes, 1 + digestBytes) }
}

/** `begin` is told each head, and answers what takes the bytes behind it. */
export function createRecordReader(begin: (head: RecordHead) => RecordBody): RecordReader {
  const head = Buffer.alloc(recordHeadBytes)
  let [filled, left] = [0, 0]
  let body: RecordBody | undefined

  return {
    write(part) {
      for (let at = 0; at < part.length; ) {
        if (body === undefined) {
          const taken = part.subarray(at, at + recordHeadBytes - filled)
          head.set(taken, filled)
          filled += taken.length
          at += taken.length
          if (filled < recordHeadBytes) return
          const found = parseRecordHead(head)
          body = begin(found)
          left = found.length
        } else {
          const taken = part.subarray(at, at + left)
          at += taken.length
          left -= taken.length
          body.take(taken)
        }
        if (left > 0) continue
        const { end } = body
        body = undefined
        filled = 0
        end()
      }
    },
    isInside: () => filled > 0,
  }
}
