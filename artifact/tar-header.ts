// One 512-byte header of a tar archive (POSIX ustar, GNU and v7 forms) and the records of a PAX header (POSIX pax(1)).
import { refusal } from '@aether/contract/reasons'

export const blockSize = 512

export interface TarHeader {
  readonly name: string
  readonly type: string
  readonly size: number
  readonly mode: number
  readonly linkName: string
}

/** Says which header it is, for an error. */
export type Where = () => string

/** Parses a header block that is not all zero. Throws ReasonError `extract`. */
export function parseHeader(block: Uint8Array, where: Where): TarHeader {
  const bytes = Buffer.from(block.buffer, block.byteOffset, blockSize)
  if (numberAt(bytes, 148, 8, 'checksum', where) !== checksumOf(bytes))
    throw refusal('extract', 'not_tar', `${where()} has the wrong checksum: is it a tar archive, whole?`)
  // Whatever the version behind the magic: GNU tar reads the prefix then.
  const prefix = bytes.toString('latin1', 257, 263) === 'ustar\0' ? textAt(bytes, 345, 155, where) : ''
  const name = textAt(bytes, 0, 100, where)
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    type: bytes[156] === 0 ? '0' : String.fromCharCode(bytes[156] ?? 0),
    size: numberAt(bytes, 124, 12, 'size', where),
    mode: numberAt(bytes, 100, 8, 'mode', where),
    linkName: textAt(bytes, 157, 100, where),
  }
}

/** Parses `<length> <key>=<value>\n` records. Values stay bytes: those of extended attributes are no text. */
export function parsePax(data: Buffer, where: Where): ReadonlyMap<string, Buffer> {
  const records = new Map<string, Buffer>()
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at)
    const digits = space < 0 ? '' : data.toString('latin1', at, space)
    const end = at + Number(digits)
    if (!/^[1-9]\d{0,9}$/.test(digits) || end > data.length || end <= space + 1 || data[end - 1] !== 0x0a)
      throw badPax(where)
    const equals = data.indexOf(0x3d, space)
    if (equals < 0 || equals >= end) throw badPax(where)
    records.set(data.toString('latin1', space + 1, equals), data.subarray(equals + 1, end - 1))
    at = end
  }
  return records
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8, or refused: two readers of other bytes would see two names. */
export function decode(bytes: Uint8Array, where: Where): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw refusal('extract', 'unsupported_entry', `${where()} has a name that is not UTF-8`, { cause })
  }
}

function badPax(where: Where) {
  return refusal('extract', 'not_tar', `${where()} has PAX records that do not add up`)
}

function checksumOf(bytes: Buffer): number {
  let sum = 0
  for (let i = 0; i < blockSize; i++) sum += i >= 148 && i < 156 ? 0x20 : (bytes[i] ?? 0)
  return sum
}

function textAt(bytes: Buffer, at: number, length: number, where: Where): string {
  const field = bytes.subarray(at, at + length)
  const end = field.indexOf(0)
  return decode(end < 0 ? field : field.subarray(0, end), where)
}

/** Octal, or the GNU base-256 form (high bit of the first byte set). */
function numberAt(bytes: Buffer, at: number, length: number, what: string, where: Where): number {
  const field = bytes.subarray(at, at + length)
  const first = field[0] ?? 0
  if (first >= 0x80) {
    let value = BigInt(first & 0x7f)
    for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte)
    if (first === 0x80 && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value)
  } else {
    const text = field
      .toString('latin1')
      .replace(/^ +/, '')
      .replace(/[ \0].*$/s, '')
    // Nothing before a NUL is zero, but nothing at all is no number: GNU tar skips such an entry.
    const isBlank = text === '' && !field.includes(0)
    if (/^[0-7]{0,12}$/.test(text) && !isBlank) return text === '' ? 0 : Number.parseInt(text, 8)
  }
  throw refusal('extract', 'not_tar', `${where()} has a ${what} that is no number that we take`)
}
