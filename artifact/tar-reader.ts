// Reads a tar archive as its bytes come. What it does not know it refuses: nothing is skipped in silence.
import { refusal } from '@aether/contract/reasons'
import { blockSize, decode, parseHeader, parsePax, type TarHeader } from './tar-header.ts'

export interface ReadLimits {
  /** Of PAX and GNU headers, all together. */
  readonly maxMetadataBytes: number
}

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

const maxHeaderBytes = 1024 * 1024 // of one PAX or GNU header: it is held in memory

/** What PAX and GNU headers say of the entry that follows them. */
interface Ahead {
  readonly path?: string
  readonly link?: string
  readonly size?: number
  readonly 'PAX header'?: true
}

export function createTarReader(sink: TarSink, limits: ReadLimits): TarReader {
  const block = Buffer.alloc(blockSize)
  let filled = 0
  let state: State = 'header'
  let remaining = 0
  let padding = 0
  let zeroBlocks = 0
  let meta: Buffer[] = []
  let metaType = ''
  let metaBytes = 0
  let isOpenText = false // a GNU name without its NUL: GNU tar reads on into the padding
  let ahead: Ahead | undefined
  let last: string | undefined
  const where = () => (last === undefined ? 'the first header of the archive' : `the header after ${shown(last)}`)

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
        if (isOpenText && bytes.subarray(at, at + part).some((byte) => byte !== 0))
          throw refusal('extract', 'not_tar', `${where()} has a name that goes on behind its end`)
        at += part
        padding -= part
        if (padding === 0) endPadding()
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
        else header(parseHeader(block, where))
      }
    }
  }

  function endPadding(): void {
    state = 'header'
    isOpenText = false
  }

  function endMark(): void {
    if (ahead !== undefined) throw refusal('extract', 'not_tar', `${where()} describes an entry that does not follow`)
    zeroBlocks++
    if (zeroBlocks === 2) state = 'end'
  }

  function header(read: TarHeader): void {
    if (read.type === 'x' || read.type === 'g' || read.type === 'L' || read.type === 'K') {
      metaBytes += blockSize + read.size
      if (read.size > maxHeaderBytes)
        throw refusal('extract', 'limit', `${where()} has more than ${maxHeaderBytes} bytes of metadata`)
      if (metaBytes > limits.maxMetadataBytes)
        throw refusal(
          'extract',
          'limit',
          `the archive has more than ${limits.maxMetadataBytes} bytes of metadata at ${where()}: raise AETHER_MAX_METADATA_BYTES if that is right`,
        )
      metaType = read.type
      meta = []
      return startBody(read.size, 'meta')
    }
    const entry = toEntry({
      ...read,
      name: ahead?.path ?? read.name,
      linkName: ahead?.link ?? read.linkName,
      size: ahead?.size ?? read.size,
    })
    ahead = undefined
    last = entry.path
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
    if (padding > 0) state = 'padding'
    else endPadding()
  }

  function endMeta(data: Buffer): void {
    if (metaType === 'L' || metaType === 'K') {
      const end = data.indexOf(0)
      isOpenText = end < 0
      const text = decode(end < 0 ? data : data.subarray(0, end), where)
      return foresee(metaType === 'L' ? { path: text } : { link: text })
    }
    const records = parsePax(data, where)
    for (const key of records.keys())
      if (key.startsWith('GNU.sparse.') || (metaType === 'g' && ['path', 'linkpath', 'size'].includes(key)))
        throw refusal(
          'extract',
          'unsupported_entry',
          `${where()} has the PAX record ${shown(key)}, which is not supported there`,
        )
    if (metaType === 'g') return
    const text = (key: string) => {
      const value = records.get(key)
      return value === undefined ? undefined : decode(value, where)
    }
    const path = text('path')
    const link = text('linkpath')
    const size = text('size')
    if (size !== undefined && !/^\d{1,15}$/.test(size))
      throw refusal('extract', 'not_tar', `${where()} has a PAX size that is no number`)
    foresee({
      ...(path === undefined ? {} : { path }),
      ...(link === undefined ? {} : { link }),
      ...(size === undefined ? {} : { size: Number(size) }),
      'PAX header': true,
    })
  }

  /** Readers differ in which of two names or headers they believe, and in what an empty name means. */
  function foresee(more: Ahead): void {
    for (const [what, value] of Object.entries(more))
      if (value === '' || (ahead !== undefined && what in ahead))
        throw refusal(
          'extract',
          'not_tar',
          `${where()} gives the next entry ${value === '' ? 'an empty' : 'a second'} ${what}`,
        )
    ahead = { ...ahead, ...more }
  }

  return {
    write,
    finish() {
      if (state === 'end' && filled === 0) return
      throw refusal(
        'extract',
        'truncated',
        `the archive ends before its end mark, in or behind ${last === undefined ? 'its first header' : shown(last)}: pack it again`,
      )
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

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 120))
}

function toEntry(header: TarHeader): TarEntry {
  const { name: path, size } = header
  // v7 archives have no type for folders: a trailing slash says it.
  const known = knownTypes[header.type]
  const kind = known === 'file' && path.endsWith('/') ? 'folder' : known
  if (kind === undefined)
    throw refusal(
      'extract',
      'unsupported_entry',
      `${shown(path)} is an entry of type ${JSON.stringify(header.type)}: files, folders and links are taken`,
    )
  if ((header.mode & 0o7000) !== 0)
    throw refusal(
      'extract',
      'unsupported_entry',
      `${shown(path)} has the setuid, setgid or sticky bit: clear it before packing`,
    )
  if (kind === 'file') return { kind, path, size, executable: (header.mode & 0o111) !== 0 }
  if (size !== 0) throw refusal('extract', 'unsupported_entry', `${shown(path)} is a ${kind} with content`)
  return kind === 'folder' ? { kind, path } : { kind, path, to: header.linkName }
}
