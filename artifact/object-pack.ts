// An object pack: folder objects and files, whichever and in whichever order. What an app sends to a store that lacks them; each
// record proves itself by its digest, so what came whole counts though the rest did not come.
import { type DeltaContent, forWaiting, type ReadFile, writeRecords } from './delta-write.ts'
import { createRecordReader, type RecordBody, type RecordHead } from './record-stream.ts'
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
  await writeRecords(content, read, put, forWaiting)
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
  const records = createRecordReader(begin)
  let [headLeft, total] = [magic.length, 0]

  function begin({ kind, digest, length }: RecordHead): RecordBody {
    if (kind === 'file') return fileBody(digest, length)
    if (length > maxObjectBytes)
      throw new TreeError('limit', `the folder object ${digest} has ${length} bytes: ${maxObjectBytes} are taken`)
    return objectBody(digest, length)
  }

  function objectBody(digest: string, length: number): RecordBody {
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

  function fileBody(digest: string, length: number): RecordBody {
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
      records.write(part)
    },
    finish() {
      if (headLeft > 0 || records.isInside()) throw new TreeError('malformed', 'the object pack ends in a record')
    },
  }
}

function otherBytes(what: string, digest: string): TreeError {
  return new TreeError('mismatch', `the ${what} ${digest} came with other bytes`)
}
