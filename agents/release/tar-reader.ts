// Reads a tar archive as its bytes come. What it does not know it refuses: nothing is skipped in silence.
import { refusal } from '@aether/contract/reasons'
import { blockSize, decode, parseHeader, parsePax, type TarHeader } from './tar-header.ts'

export type TarEntry =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly size: number; readonly executable: boolean }
  | { readonly kind: 'symlink' | 'hardlink'; readonly path: string; readonly to: string }

export interface TarSink {
  entry(entry: TarEntry): void
  /** Bytes of the last file. */
  data(bytes: Uint8Array): void
  /** The last file is whole. */
  end(): void
}

export interface TarReader {
  write(bytes: Uint8Array): void
  /** Throws ReasonError `extract` where the archive ended before its end mark. */
  finish(): void
}

type State = 'header' | 'data' | 'padding' | 'meta' | 'end'

const maxMetadataBytes = 1024 * 1024

export function createTarReader(sink: TarSink): TarReader {
  const block = Buffer.alloc(blockSize)
  let filled = 0
  let state: State = 'header'
  let remaining = 0
  let padding = 0
  let zeroBlocks = 0
  let meta: Buffer[] = []
  let metaType = ''
  let next = { path: '', link: '', size: -1 }

  function write(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      const left = bytes.length - at
      if (state === 'data' || state === 'meta') {
        const part = bytes.subarray(at, at + Math.min(left, remaining))
        if (state === 'data') sink.data(part)
        else meta.push(Buffer.from(part))
        at += part.length
        remaining -= part.length
        if (remaining === 0) endBody()
      } else if (state === 'padding') {
        const part = Math.min(left, padding)
        at += part
        padding -= part
        if (padding === 0) state = 'header'
      } else {
        const part = Math.min(left, blockSize - filled)
        block.set(bytes.subarray(at, at + part), filled)
        at += part
        filled += part
        if (filled < blockSize) continue
        filled = 0
        if (block.every((byte) => byte === 0)) endMark()
        else if (state === 'end' || zeroBlocks > 0)
          throw refusal('extract', 'not_tar', 'the archive has something after its end mark')
        else header(parseHeader(block))
      }
    }
  }

  function endMark(): void {
    zeroBlocks++
    if (zeroBlocks === 2) state = 'end'
  }

  function header(read: TarHeader): void {
    if (read.type === 'x' || read.type === 'g' || read.type === 'L' || read.type === 'K') {
      if (read.size > maxMetadataBytes)
        throw refusal('extract', 'limit', `the archive has a metadata entry of more than ${maxMetadataBytes} bytes`)
      metaType = read.type
      meta = []
      return startBody(read.size, 'meta')
    }
    const { path, link, size } = next
    next = { path: '', link: '', size: -1 }
    const entry = toEntry({
      ...read,
      name: path || read.name,
      linkName: link || read.linkName,
      size: size < 0 ? read.size : size,
    })
    sink.entry(entry)
    if (entry.kind === 'file') startBody(entry.size, 'data')
  }

  function startBody(size: number, kind: 'data' | 'meta'): void {
    state = kind
    remaining = size
    padding = (blockSize - (size % blockSize)) % blockSize
    if (size === 0) endBody()
  }

  function endBody(): void {
    if (state === 'data') sink.end()
    else endMeta(Buffer.concat(meta))
    state = padding > 0 ? 'padding' : 'header'
  }

  function endMeta(data: Buffer): void {
    if (metaType === 'L' || metaType === 'K') {
      const end = data.indexOf(0)
      const text = decode(end < 0 ? data : data.subarray(0, end))
      next = metaType === 'L' ? { ...next, path: text } : { ...next, link: text }
      return
    }
    const records = parsePax(data)
    for (const key of records.keys())
      if (key.startsWith('GNU.sparse.') || (metaType === 'g' && ['path', 'linkpath', 'size'].includes(key)))
        throw refusal('extract', 'unsupported_entry', `the archive uses the PAX record ${key}, which is not supported`)
    if (metaType === 'g') return
    const size = records.get('size')
    if (size !== undefined && !/^\d{1,15}$/.test(size))
      throw refusal('extract', 'not_tar', 'the archive has a PAX size that is no number')
    next = {
      path: records.get('path') ?? next.path,
      link: records.get('linkpath') ?? next.link,
      size: size === undefined ? next.size : Number(size),
    }
  }

  return {
    write,
    finish() {
      if (state === 'end' && filled === 0) return
      throw refusal('extract', 'truncated', 'the archive ends before its end mark: pack it again')
    },
  }
}

const knownTypes: Readonly<Record<string, TarEntry['kind']>> = {
  0: 'file',
  1: 'hardlink',
  2: 'symlink',
  5: 'folder',
  7: 'file',
}

function toEntry(header: TarHeader): TarEntry {
  const { name: path, size } = header
  // v7 archives have no type for folders: a trailing slash says it.
  const kind = header.type === '0' && path.endsWith('/') ? 'folder' : knownTypes[header.type]
  const shown = JSON.stringify(path.slice(0, 120))
  if (kind === undefined)
    throw refusal(
      'extract',
      'unsupported_entry',
      `${shown} is an entry of type ${JSON.stringify(header.type)}: files, folders and links are taken`,
    )
  if ((header.mode & 0o7000) !== 0)
    throw refusal(
      'extract',
      'unsupported_entry',
      `${shown} has the setuid, setgid or sticky bit: clear it before packing`,
    )
  if (kind === 'file') return { kind, path, size, executable: (header.mode & 0o111) !== 0 }
  if (size !== 0) throw refusal('extract', 'unsupported_entry', `${shown} is a ${kind} with content`)
  return kind === 'folder' ? { kind, path } : { kind, path, to: header.linkName }
}
