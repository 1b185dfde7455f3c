// The objects of a tree, docs/artifact-format.md: a folder is one list of entries, or a branch of several such lists. What is
// parsed here has the one form that its content can have; the rule for the cuts of a branch is chunk-rule.ts.

import { beginsChunk, maxChunkEntries } from './chunk-rule.ts'
import { digestOfObject } from './tree-digest.ts'
import { TreeError } from './tree-error.ts'
import { showPath } from './tree-name.ts'

/** Names and targets have one character a byte (tree-name.ts), digests are 64 hex characters. */
export type TreeEntry = FileEntry | LinkEntry | FolderEntry

export interface FileEntry {
  readonly kind: 'file'
  readonly name: string
  readonly executable: boolean
  readonly size: number
  readonly digest: string
}

export interface LinkEntry {
  readonly kind: 'link'
  readonly name: string
  readonly to: string
}

export interface FolderEntry {
  readonly kind: 'folder'
  readonly name: string
  readonly digest: string
}

export type TreeObject =
  | { readonly kind: 'entries'; readonly entries: readonly TreeEntry[] }
  | { readonly kind: 'branch'; readonly chunks: readonly string[] }

export interface StoredObject {
  readonly digest: string
  readonly bytes: Buffer
}

export interface EncodedFolder {
  /** The folder's name: that of the first object. */
  readonly digest: string
  /** One, or a branch and its chunks in order. */
  readonly objects: readonly [StoredObject, ...StoredObject[]]
}

export const maxObjectBytes = 1024 * 1024
export const maxNameBytes = 255 // NAME_MAX
export const maxTargetBytes = 4095 // PATH_MAX without its NUL

const magic = Buffer.from('aether-tree-1\0', 'latin1')
const headBytes = magic.length + 1 + 4
const digestBytes = 32
const [typeEntries, typeBranch] = [1, 2]
const [letterFile, letterExecutable, letterLink, letterFolder] = [0x66, 0x78, 0x6c, 0x64] // f x l d

/** Whether the first bytes of an artifact are those of a tree, and no archive's. */
export function isTree(first: Uint8Array): boolean {
  return magic.equals(first.subarray(0, magic.length))
}

/** `entries` in order of their names. Throws TreeError for what no folder can hold. */
export function encodeFolder(entries: readonly TreeEntry[]): EncodedFolder {
  const chunks: StoredObject[] = []
  for (let from = 0; from < entries.length || from === 0; ) {
    let to = Math.min(entries.length, from + maxChunkEntries)
    if (entries.length > maxChunkEntries)
      for (let at = from + 1; at < to; at++) if (beginsChunk(entries[at]?.name ?? '')) to = at
    chunks.push(stored(encodeEntries(entries.slice(from, to))))
    from = Math.max(to, 1)
  }
  const [first] = chunks
  if (first !== undefined && chunks.length === 1) return { digest: first.digest, objects: [first] }
  const size = headBytes + chunks.length * digestBytes
  if (size > maxObjectBytes)
    throw new TreeError(
      'limit',
      `a folder of ${entries.length} entries has more than ${maxObjectBytes} bytes of digests`,
    )
  const bytes = head(typeBranch, chunks.length, size)
  for (const [at, chunk] of chunks.entries()) bytes.write(chunk.digest, headBytes + at * digestBytes, 'hex')
  const branch = stored(bytes)
  return { digest: branch.digest, objects: [branch, ...chunks] }
}

/** Throws TreeError `malformed`. The digest of `bytes` is the caller's to compare. */
export function parseObject(bytes: Buffer): TreeObject {
  if (bytes.length > maxObjectBytes)
    throw new TreeError('limit', `a folder object has ${bytes.length} bytes: more than ${maxObjectBytes} are not taken`)
  if (!isTree(bytes) || bytes.length < headBytes) throw malformed('does not begin as one')
  const type = bytes[magic.length]
  const count = bytes.readUInt32BE(magic.length + 1)
  if (type === typeEntries) return { kind: 'entries', entries: parseEntries(bytes, count) }
  if (type !== typeBranch) throw malformed(`has the type ${type}`)
  if (count < 2 || bytes.length !== headBytes + count * digestBytes)
    throw malformed(`is a branch of ${count} chunks in ${bytes.length} bytes`)
  const chunks = Array.from({ length: count }, (_, at) =>
    bytes.toString('hex', headBytes + at * digestBytes, headBytes + (at + 1) * digestBytes),
  )
  // Each chunk has names of its own; and a few bytes must not stand for millions of entries.
  if (new Set(chunks).size !== count) throw malformed('is a branch that has a chunk twice')
  return { kind: 'branch', chunks }
}

/** How many entries an object of entries, or chunks a branch, says it has. */
export function countOf(bytes: Buffer): number {
  return bytes.length < headBytes ? 0 : bytes.readUInt32BE(magic.length + 1)
}

function encodeEntries(entries: readonly TreeEntry[]): Buffer {
  let size = headBytes
  let last = ''
  for (const entry of entries) {
    if (entry.name <= last) throw new TreeError('malformed', `${showPath(entry.name)} is not after ${showPath(last)}`)
    last = entry.name
    size += 1 + 2 + entry.name.length + bodyBytes(entry)
  }
  const bytes = head(typeEntries, entries.length, size)
  let at = headBytes
  for (const entry of entries) {
    checkName(entry.name)
    bytes[at] = letterOf(entry)
    bytes.writeUInt16BE(entry.name.length, at + 1)
    at += 3
    at += bytes.write(entry.name, at, 'latin1')
    if (entry.kind === 'link') {
      checkTarget(entry)
      at = bytes.writeUInt16BE(entry.to.length, at)
      at += bytes.write(entry.to, at, 'latin1')
      continue
    }
    if (entry.kind === 'file') at = bytes.writeBigUInt64BE(BigInt(entry.size), at)
    at += bytes.write(entry.digest, at, 'hex')
  }
  if (at !== size) throw new TreeError('malformed', 'a digest is not of 64 hex characters')
  return bytes
}

function parseEntries(bytes: Buffer, count: number): readonly TreeEntry[] {
  if (count > maxChunkEntries) throw malformed(`has ${count} entries: more than ${maxChunkEntries} make a branch`)
  const entries: TreeEntry[] = []
  let at = headBytes
  let last = ''
  const take = (length: number) => {
    const from = at
    at += length
    if (at > bytes.length) throw malformed('ends in an entry')
    return from
  }
  const text = () => {
    const length = bytes.readUInt16BE(take(2))
    const from = take(length)
    return bytes.toString('latin1', from, at)
  }
  const digest = () => bytes.toString('hex', take(digestBytes), at)
  for (let n = 0; n < count; n++) {
    const letter = bytes[take(1)]
    const name = text()
    checkName(name)
    if (name <= last) throw malformed(`has ${showPath(name)} after ${showPath(last)}`)
    last = name
    if (letter === letterFolder) entries.push({ kind: 'folder', name, digest: digest() })
    else if (letter === letterLink) {
      const entry: LinkEntry = { kind: 'link', name, to: text() }
      checkTarget(entry)
      entries.push(entry)
    } else if (letter === letterFile || letter === letterExecutable) {
      const size = sizeAt(bytes, take(8))
      entries.push({ kind: 'file', name, executable: letter === letterExecutable, size, digest: digest() })
    } else throw malformed(`has an entry of kind ${letter}`)
  }
  if (at !== bytes.length) throw malformed('has something behind its last entry')
  return entries
}

function head(type: number, count: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  magic.copy(bytes)
  bytes[magic.length] = type
  bytes.writeUInt32BE(count, magic.length + 1)
  return bytes
}

function stored(bytes: Buffer): StoredObject {
  return { digest: digestOfObject(bytes), bytes }
}

function bodyBytes(entry: TreeEntry): number {
  if (entry.kind === 'link') return 2 + entry.to.length
  return entry.kind === 'file' ? 8 + digestBytes : digestBytes
}

function letterOf(entry: TreeEntry): number {
  if (entry.kind === 'file') return entry.executable ? letterExecutable : letterFile
  return entry.kind === 'link' ? letterLink : letterFolder
}

/** A number that JavaScript, too, can hold exactly. */
export function sizeAt(bytes: Buffer, at: number): number {
  const size = bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
  if (size > Number.MAX_SAFE_INTEGER) throw malformed('has a size of more than 2^53-1')
  return size
}

function checkName(name: string): void {
  if (name === '' || name.length > maxNameBytes || name === '.' || name === '..' || /[/\0]/.test(name))
    throw malformed(`has ${showPath(name)} for a name`)
}

function checkTarget({ name, to }: LinkEntry): void {
  if (to === '' || to.length > maxTargetBytes || to.includes('\0'))
    throw malformed(`has a symlink ${showPath(name)} to ${showPath(to)}`)
}

function malformed(what: string): TreeError {
  return new TreeError('malformed', `a folder object ${what}`)
}
