// A delta pack, docs/artifact-format.md: the folder objects and files that one tree has and another has not. Written from
// what the two trees differ in; read as the bytes come, each record held against what the objects before it asked for.
import type { Hash } from 'node:crypto'
import { createFileHash, digestOfObject } from './tree-digest.ts'
import { TreeError } from './tree-error.ts'
import { maxObjectBytes, parseObject, sizeAt } from './tree-object.ts'

export interface DeltaHead {
  readonly from: string
  readonly to: string
}

const magic = Buffer.from('aether-delta-1\0', 'latin1')
const digestBytes = 32
/** Of the plain bytes before the zstd stream: magic, from, to. */
export const deltaHeadBytes: number = magic.length + 2 * digestBytes
/** Of what stands before the bytes of a record: kind, digest, length. */
export const recordHeadBytes: number = 1 + digestBytes + 8
const [kindObject, kindFile] = [1, 2]

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

export function encodeRecordHead(kind: 'object' | 'file', digest: string, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(recordHeadBytes)
  bytes[0] = kind === 'object' ? kindObject : kindFile
  bytes.write(digest, 1, 'hex')
  bytes.writeBigUInt64BE(BigInt(length), 1 + digestBytes)
  return bytes
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
  const wanted = new Set(holds(to) ? [] : [to])
  const objects = new Set<string>()
  /** Sizes of the files that objects have spoken of; undefined once a file has come. */
  const files = new Map<string, number | undefined>()
  const head = Buffer.alloc(recordHeadBytes)
  let filled = 0
  let [entries, bytes] = [0, 0]
  let body: Body | undefined

  function write(part: Uint8Array): void {
    bytes += part.length
    if (bytes > limits.maxBytes)
      throw new TreeError('limit', `the delta pack has more than ${limits.maxBytes} bytes, unpacked`)
    for (let at = 0; at < part.length; ) {
      if (body === undefined) {
        const taken = part.subarray(at, at + recordHeadBytes - filled)
        head.set(taken, filled)
        filled += taken.length
        at += taken.length
        if (filled === recordHeadBytes) begin()
      } else {
        const taken = part.subarray(at, at + body.left)
        at += taken.length
        body.left -= taken.length
        body.take(taken)
      }
      if (body?.left === 0) {
        const { end } = body
        body = undefined
        filled = 0
        end()
      }
    }
  }

  function begin(): void {
    const digest = head.toString('hex', 1, 1 + digestBytes)
    const length = sizeAt(head, 1 + digestBytes)
    if (head[0] === kindObject) body = objectBody(digest, length)
    else if (head[0] === kindFile) body = fileBody(digest, length)
    else throw new TreeError('malformed', `the delta pack has a record of kind ${head[0]}`)
  }

  function objectBody(digest: string, length: number): Body {
    // Also where it came before, or the old tree has it: `wanted` forgets what has come.
    if (!wanted.delete(digest)) throw extra('folder object', digest)
    if (length === 0 || length > maxObjectBytes)
      throw new TreeError('limit', `the folder object ${digest} would have ${length} bytes`)
    const whole = Buffer.allocUnsafe(length)
    let at = 0
    return {
      left: length,
      take(part) {
        whole.set(part, at)
        at += part.length
      },
      end() {
        if (digestOfObject(whole) !== digest) throw mismatch('folder object', digest)
        objects.add(digest)
        expect(whole)
        sink.object(digest, whole)
      },
    }
  }

  function expect(whole: Buffer): void {
    const object = parseObject(whole)
    const want = (digest: string) => {
      if (!objects.has(digest) && !holds(digest)) wanted.add(digest)
    }
    if (object.kind === 'branch') return object.chunks.forEach(want)
    entries += object.entries.length
    if (entries > limits.maxEntries)
      throw new TreeError('limit', `the delta pack has folders of more than ${limits.maxEntries} entries`)
    for (const entry of object.entries) {
      if (entry.kind === 'folder') want(entry.digest)
      if (entry.kind !== 'file') continue
      const size = files.get(entry.digest)
      if (size !== undefined && size !== entry.size)
        throw new TreeError('malformed', `the file ${entry.digest} has two sizes in one tree`)
      files.set(entry.digest, entry.size)
    }
  }

  function fileBody(digest: string, length: number): Body {
    requireObjects()
    const size = files.get(digest)
    if (size === undefined) throw extra('file', digest)
    if (size !== length)
      throw new TreeError('mismatch', `the file ${digest} would have ${length} bytes, where the tree says ${size}`)
    files.set(digest, undefined)
    const hash: Hash = createFileHash()
    sink.fileBegin(digest, size)
    return {
      left: length,
      take(part) {
        hash.update(part)
        sink.fileData(part)
      },
      end() {
        if (hash.digest('hex') !== digest) throw mismatch('file', digest)
        sink.fileEnd(digest)
      },
    }
  }

  function requireObjects(): void {
    const [first] = wanted
    if (first !== undefined) throw new TreeError('missing', `the folder object ${first} is not in the delta pack`)
  }

  return {
    write,
    finish() {
      if (body !== undefined || filled > 0) throw new TreeError('malformed', 'the delta pack ends in a record')
      requireObjects()
    },
  }
}

interface Body {
  left: number
  take(part: Uint8Array): void
  end(): void
}

function extra(what: string, digest: string): TreeError {
  return new TreeError('extra', `the delta pack has the ${what} ${digest}, which is asked for no more, or never was`)
}

function mismatch(what: string, digest: string): TreeError {
  return new TreeError('mismatch', `the ${what} ${digest} of the delta pack has other bytes`)
}
