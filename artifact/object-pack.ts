// An object pack: folder objects and files, whichever and in whichever order. What an app sends to a store that lacks them; each
// record proves itself by its digest, so what came whole counts though the rest did not come.
import { parseRecordHead, recordHeadBytes } from './delta-pack.ts'
import { type DeltaContent, type ReadFile, writeRecords } from './delta-write.ts'
import { createFileHash, digestOfObject } from './tree-digest.ts'
import { TreeError } from './tree-error.ts'
import { maxObjectBytes, parseObject } from './tree-object.ts'

const magic = Buffer.from('aether-objects-1\0', 'latin1')

/** `put` gets the pack's bytes in order. */
export async function writeObjectPack(
  content: DeltaContent,
  read: ReadFile,
  put: (packed: Uint8Array) => Promise<void>,
): Promise<void> {
  await put(magic)
  await writeRecords(content, read, put)
}

export interface ObjectSink {
  begin(kind: 'object' | 'file', digest: string, bytes: number): void
  /** Nothing of it is proven before `end`. The bytes are the reader's, until it is asked for more. */
  data(bytes: Uint8Array): void
  /** It came whole, and its digest holds. */
  end(): void
}

export interface ObjectReader {
  /** The zstd stream's bytes of a part of the pack: those behind the head. Throws TreeError. */
  head(part: Uint8Array): Uint8Array
  /** Bytes of the stream, decompressed. Throws TreeError. */
  write(part: Uint8Array): void
  /** Throws TreeError where the pack ends in a record. */
  finish(): void
}

/** `maxBytes` is of all that comes, the heads of records counted. */
export function createObjectReader(sink: ObjectSink, maxBytes: number): ObjectReader {
  const begun = Buffer.alloc(recordHeadBytes)
  let [headLeft, filled, total] = [magic.length, 0, 0]
  let body: { left: number; take(part: Uint8Array): void; end(): void } | undefined

  function begin(): void {
    const { kind, digest, length } = parseRecordHead(begun)
    if (kind === 'object' && length > maxObjectBytes)
      throw new TreeError('limit', `the folder object ${digest} has ${length} bytes: ${maxObjectBytes} are taken`)
    body = { left: length, ...(kind === 'object' ? objectBody(digest, length) : fileBody(digest, length)) }
  }

  function objectBody(digest: string, length: number) {
    const whole = Buffer.allocUnsafe(length)
    let at = 0
    return {
      take(part: Uint8Array) {
        whole.set(part, at)
        at += part.length
      },
      end() {
        if (digestOfObject(whole) !== digest) throw otherBytes('folder object', digest)
        parseObject(whole)
        sink.begin('object', digest, length)
        sink.data(whole)
        sink.end()
      },
    }
  }

  function fileBody(digest: string, length: number) {
    const hash = createFileHash()
    sink.begin('file', digest, length)
    return {
      take(part: Uint8Array) {
        hash.update(part)
        sink.data(part)
      },
      end() {
        if (hash.digest('hex') !== digest) throw otherBytes('file', digest)
        sink.end()
      },
    }
  }

  return {
    head(part) {
      const taken = part.subarray(0, headLeft)
      const at = magic.length - headLeft
      if (!magic.subarray(at, at + taken.length).equals(taken))
        throw new TreeError('malformed', 'the object pack does not begin as one')
      headLeft -= taken.length
      return part.subarray(taken.length)
    },
    write(part) {
      total += part.length
      if (total > maxBytes) throw new TreeError('limit', `the object pack has more than ${maxBytes} bytes, unpacked`)
      for (let at = 0; at < part.length; ) {
        if (body === undefined) {
          const taken = part.subarray(at, at + recordHeadBytes - filled)
          begun.set(taken, filled)
          filled += taken.length
          at += taken.length
          if (filled === recordHeadBytes) begin()
        } else {
          const taken = part.subarray(at, at + body.left)
          at += taken.length
          body.left -= taken.length
          body.take(taken)
        }
        if (body?.left !== 0) continue
        const { end } = body
        body = undefined
        filled = 0
        end()
      }
    },
    finish() {
      if (headLeft > 0 || body !== undefined || filled > 0)
        throw new TreeError('malformed', 'the object pack ends in a record')
    },
  }
}

function otherBytes(what: string, digest: string): TreeError {
  return new TreeError('mismatch', `the ${what} ${digest} came with other bytes`)
}
