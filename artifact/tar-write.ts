// Headers of the tar in a full pack: ustar, and PAX records only where ustar has no room. No owner, no time: the same entry
// gives the same bytes (POSIX pax, https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html).
import { isAscii, isUtf8 } from 'node:buffer'

export const tarBlock = 512

/** The end of an archive. */
export const tarEnd: Uint8Array = Buffer.alloc(2 * tarBlock)

export type TarItem =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'link'; readonly path: string; readonly to: string }
  | { readonly kind: 'file'; readonly path: string; readonly executable: boolean; readonly size: number }

const mostOctal = 8 ** 11 - 1
const maxLinkField = 100
const types = { file: '0', link: '2', folder: '5' } as const

/** All that stands before the content: one block, or three and more where there are PAX records. */
export function encodeTarHeader(item: TarItem): Buffer {
  const path = item.kind === 'folder' ? `${item.path}/` : item.path
  const to = item.kind === 'link' ? item.to : ''
  const size = item.kind === 'file' ? item.size : 0
  const place = splitPath(path)
  const records = [
    ...(place === undefined ? [record('path', path)] : []),
    ...(to.length > maxLinkField ? [record('linkpath', to)] : []),
    ...(size > mostOctal ? [record('size', String(size))] : []),
  ]
  const mode = item.kind === 'file' && !item.executable ? 0o644 : 0o755
  const own = header({ ...(place ?? { name: path.slice(0, 100), prefix: '' }), to, size, mode, type: types[item.kind] })
  if (records.length === 0) return own
  // PAX text is UTF-8 unless it says otherwise first.
  const isText = [path, to].every((text) => isUtf8(Buffer.from(text, 'latin1')))
  const data = Buffer.from((isText ? '' : record('hdrcharset', 'BINARY')) + records.join(''), 'latin1')
  const ahead = header({ name: 'PaxHeader', prefix: '', to: '', size: data.length, mode: 0o644, type: 'x' })
  return Buffer.concat([ahead, data, Buffer.alloc(paddingOf(data.length)), own])
}

/** Bytes from the end of a content to the next block. */
export function paddingOf(size: number): number {
  return (tarBlock - (size % tarBlock)) % tarBlock
}

interface Fields {
  readonly name: string
  readonly prefix: string
  readonly to: string
  readonly size: number
  readonly mode: number
  readonly type: string
}

function header({ name, prefix, to, size, mode, type }: Fields): Buffer {
  const bytes = Buffer.alloc(tarBlock)
  const octal = (value: number, at: number, digits: number) =>
    bytes.write(value.toString(8).padStart(digits, '0'), at, 'latin1')
  bytes.write(name, 0, 100, 'latin1')
  octal(mode, 100, 7)
  octal(0, 108, 7)
  octal(0, 116, 7)
  octal(size > mostOctal ? 0 : size, 124, 11)
  octal(0, 136, 11)
  bytes.fill(' ', 148, 156)
  bytes.write(type, 156, 'latin1')
  bytes.write(to, 157, maxLinkField, 'latin1')
  bytes.write('ustar\x0000', 257, 'latin1')
  bytes.write(prefix, 345, 155, 'latin1')
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  octal(sum, 148, 6)
  bytes[154] = 0
  return bytes
}

/** Undefined where a PAX record has to say it: what does not fit, and text that is no ASCII, whose encoding ustar leaves open. */
function splitPath(path: string): { readonly name: string; readonly prefix: string } | undefined {
  const bytes = Buffer.from(path, 'latin1')
  if (isUtf8(bytes) && !isAscii(bytes)) return undefined
  if (path.length <= 100) return { name: path, prefix: '' }
  // The last slash of a folder's name is no place to cut.
  const at = path.indexOf('/', Math.max(0, path.length - 101))
  return at > 0 && at <= 155 && at < path.length - 1
    ? { name: path.slice(at + 1), prefix: path.slice(0, at) }
    : undefined
}

/** `<length> <key>=<value>\n`, in which the length counts itself. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  let length = rest.length + 1
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return `${length}${rest}`
}
