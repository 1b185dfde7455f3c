// For tests: tar archives written block by block, also those that no tool would write.
import { gzipSync } from 'node:zlib'

export interface HeaderFields {
  readonly name: string
  readonly type?: string
  readonly size?: number
  readonly mode?: number
  readonly link?: string
  readonly magic?: string
}

/** A header block with a right checksum; `size` may lie. Magic is ustar's unless told. */
export function header({ name, type = '0', size = 0, mode = 0o644, link = '', magic }: HeaderFields): Buffer {
  const block = Buffer.alloc(512)
  block.write(name, 0, 100)
  block.write(`${mode.toString(8).padStart(7, '0')}\0`, 100)
  block.write('0000000\x000000000\0', 108)
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  block.write('00000000000\0', 136)
  block.write(type, 156, 'latin1')
  block.write(link, 157, 100)
  block.write(magic ?? 'ustar\x0000', 257, 'latin1')
  return sealed(block)
}

/** Writes the checksum that the block's bytes have (POSIX pax(1), ustar). */
export function sealed(block: Buffer): Buffer {
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

/** A header and its content, padded to whole blocks. */
export function entry(fields: HeaderFields, body: string | Uint8Array = ''): Buffer {
  const content = Buffer.from(body)
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512)
  return Buffer.concat([header({ size: content.length, ...fields }), content, padding])
}

export function file(name: string, body = `content of ${name}\n`): Buffer {
  return entry({ name }, body)
}

export function symlink(name: string, link: string): Buffer {
  return header({ name, type: '2', link, mode: 0o777 })
}

/** A PAX header for the next entry, or with type `g` for all. */
export function pax(records: Readonly<Record<string, string>>, type = 'x'): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`
    let length = Buffer.byteLength(rest)
    while (length !== Buffer.byteLength(`${length}${rest}`)) length = Buffer.byteLength(`${length}${rest}`)
    return `${length}${rest}`
  })
  return entry({ name: 'PaxHeader', type }, lines.join(''))
}

export const endMark = Buffer.alloc(1024)

/** Packed as it stands: the end mark is the caller's. */
export function packed(...parts: readonly Uint8Array[]): Buffer {
  return gzipSync(Buffer.concat(parts), { level: 1 })
}

/** A small release whose one file says `text`. */
export function release(text: string): Buffer {
  return packed(file('server.js', text), file('lib/part.js', `part of ${text}`), endMark)
}
