// A delta pack, docs/artifact-format.md: the folder objects and files that one tree has and another has not. Written from
// what the two trees differ in; read as the bytes come, each record held against what the objects before it asked for.
import type { Hash } from 'node:crypto'
import { createObjectCheck } from './object-check.ts'
import { createRecordReader, type RecordBody } from './record-stream.ts'
import { createFileHash } from './tree-digest.ts'
import { TreeError } from './tree-error.ts'

export interface DeltaHead {
  readonly from: string
  readonly to: string
}

const magic = Buffer.from('aether-delta-1\0', 'latin1')
const digestBytes = 32
/** Of the plain bytes before the zstd stream: magic, from, to. */
export const deltaHeadBytes: number = magic.length + 2 * digestBytes

export function encodeDeltaHead({ from, to }: DeltaHead): Buffer {
  return Buffer.concat([magic, Buffer.from(from, 'hex'), Buffer.from(to, 'hex')])
}

/** Of the first `deltaHeadBytes`. Throws TreeError `malformed`. */
export function parseDeltaHead(bytes: Buffer): DeltaHead {
  if (bytes.length < deltaHeadBytes || !magic.equals(bytes.subarray(0, magic.length)))
    throw new TreeError('malformed', 'the delta pack does not begin as one')
  const middle = magic.length + digestBytes
  return { from: bytes.toString('hex', magic.length, middle), to: bytes.toString('hex', middle, deltaHeadBytes) }
}

export interface DeltaSink {
  /** A folder object that was asked for; its digest holds. */
  object(digest: string, bytes: Buffer): void
  /** A file begins that an object asked for. Nothing of it is proven before `fileEnd`. */
  fileBegin(digest: string, size: number): void
  /** The bytes are the reader's: to be written or copied before this returns. */
  fileData(bytes: Uint8Array): void
  /** The file is whole and its digest holds. */
  fileEnd(digest: string): void
}

export interface DeltaLimits {
  /** Of entries in the objects that come, not expanded. */
  readonly maxEntries: number
  /** Of all bytes that come, the heads of records counted. */
  readonly maxBytes: number
}

export interface DeltaReader {
  /** Bytes of the stream, decompressed. Throws TreeError, or what the sink threw. */
  write(bytes: Uint8Array): void
  /**
   * The stream is at its end. Throws TreeError where it ends in a record, or an object did not come. Whether every file
   * came, the caller sees: one that is not there may lie elsewhere in the old tree.
   */
  finish(): void
}

/** `to` is the root that is wanted; `holds` says whether the old tree has a folder object. */
export function createDeltaReader(
  to: string,
  holds: (digest: string) => boolean,
  sink: DeltaSink,
  limits: DeltaLimits,
): DeltaReader {
  const check = createObjectCheck(to, holds, limits.maxEntries)
  const files = new Set<string>()
  const records = createRecordReader(({ kind, digest, length }) =>
    kind === 'object' ? objectBody(digest, length) : fileBody(digest, length),
  )
  let bytes = 0

  function write(part: Uint8Array): void {
    bytes += part.length
    if (bytes > limits.maxBytes)
      throw new TreeError('limit', `the delta pack has more than ${limits.maxBytes} bytes, unpacked`)
    records.write(part)
  }

  function objectBody(digest: string, length: number): RecordBody {
    check.expect(digest, length)
    const whole = Buffer.allocUnsafe(length)
    let at = 0
    return {
      take(part) {
        whole.set(part, at)
        at += part.length
      },
      end() {
        check.take(whole, digest)
        sink.object(digest, whole)
      },
    }
  }

  function fileBody(digest: string, length: number): RecordBody {
    check.requireAll()
    const size = check.sizeOf(digest)
    if (size === undefined || files.has(digest))
      throw new TreeError('extra', `the file ${digest} came, which is asked for no more, or never was`)
    if (size !== length)
      throw new TreeError('mismatch', `the file ${digest} would have ${length} bytes, where the tree says ${size}`)
    files.add(digest)
    const hash: Hash = createFileHash()
    sink.fileBegin(digest, size)
    return {
      take(part) {
        hash.update(part)
        sink.fileData(part)
      },
      end() {
        if (hash.digest('hex') !== digest) throw new TreeError('mismatch', `the file ${digest} came with other bytes`)
        sink.fileEnd(digest)
      },
    }
  }

  return {
    write,
    finish() {
      if (records.isInside()) throw new TreeError('malformed', 'the delta pack ends in a record')
      check.requireAll()
    },
  }
}
