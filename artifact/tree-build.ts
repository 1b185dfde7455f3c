// Builds a tree: reads each file once, hashes it, and hands its bytes to whoever packs them. Nothing but names, modes, targets
// and bytes goes into the digest, so it is the same on any machine, below any path and at any time.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { createFileHash } from './tree-digest.ts'
import { TreeError } from './tree-error.ts'
import { pathBelow, showPath } from './tree-name.ts'
import { encodeFolder, type StoredObject, type TreeEntry } from './tree-object.ts'
import type { SourceEntry } from './tree-source.ts'

export interface BuiltTree {
  /** Of the root object: 64 hex characters. */
  readonly digest: string
  /** Each folder object once, by digest. */
  readonly objects: ReadonlyMap<string, Buffer>
  /** Where a file of each digest lies, in the order of the tree. */
  readonly contents: ReadonlyMap<string, string | Buffer>
  /** Expanded. */
  readonly entries: number
  readonly files: number
  readonly bytes: number
}

/** Told of each entry in the order of the tree; whatever is answered is waited for. */
export interface BuildSink {
  folder(path: string): Promise<void> | undefined
  link(path: string, to: string): Promise<void> | undefined
  file(path: string, executable: boolean, size: number): Promise<void> | undefined
  /** Of the last file. The bytes are the builder's: to be used before the answer. */
  data(bytes: Uint8Array): Promise<void> | undefined
  /** The last file is whole. */
  fileEnd(digest: string): Promise<void> | undefined
}

const pieceBytes = 512 * 1024
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
/** After so many bytes without a wait the event loop gets a turn. */
const turnBytes = 16 * 1024 * 1024

export async function buildTree(source: readonly SourceEntry[], sink?: BuildSink): Promise<BuiltTree> {
  const objects = new Map<string, Buffer>()
  const contents = new Map<string, string | Buffer>()
  const piece = Buffer.allocUnsafe(pieceBytes)
  let [entries, files, bytes, sinceTurn] = [0, 0, 0, 0]
  const root = await folder(source, '')
  return { digest: root.digest, objects, contents, entries, files, bytes }

  async function folder(found: readonly SourceEntry[], path: string): Promise<StoredObject> {
    const made: TreeEntry[] = []
    for (const entry of found) {
      const below = pathBelow(path, entry.name)
      entries++
      if (entry.kind === 'folder') {
        await sink?.folder(below)
        made.push({ kind: 'folder', name: entry.name, digest: (await folder(entry.entries(), below)).digest })
      } else if (entry.kind === 'link') {
        await sink?.link(below, entry.to)
        made.push(entry)
      } else made.push(await file(entry, below))
    }
    const encoded = encodeFolder(made)
    for (const object of encoded.objects) objects.set(object.digest, object.bytes)
    return encoded.objects[0]
  }

  async function file(entry: SourceEntry & { kind: 'file' }, path: string): Promise<TreeEntry> {
    const open = openSync(entry.file, flags)
    try {
      const stat = fstatSync(open)
      if (!stat.isFile()) throw changedMeanwhile(path)
      const executable = entry.executable ?? (stat.mode & 0o111) !== 0
      const { size } = stat
      const hash = createFileHash()
      const begun = sink?.file(path, executable, size)
      if (begun !== undefined) await begun
      let left = size
      // One byte more than there should be shows that there is.
      for (;;) {
        const read = readSync(open, piece, 0, Math.min(pieceBytes, left + 1), null)
        if (read === 0) break
        left -= read
        if (left < 0) throw changedMeanwhile(path)
        const part = piece.subarray(0, read)
        hash.update(part)
        const taken = sink?.data(part)
        if (taken !== undefined) await taken
        await turn(read)
        if (left === 0 && read < pieceBytes) break
      }
      if (left > 0) throw changedMeanwhile(path)
      const digest = hash.digest('hex')
      const ended = sink?.fileEnd(digest)
      if (ended !== undefined) await ended
      contents.set(digest, entry.file)
      files++
      bytes += size
      return { kind: 'file', name: entry.name, executable, size, digest }
    } finally {
      closeSync(open)
    }
  }

  function turn(read: number): Promise<void> | undefined {
    sinceTurn += read
    if (sinceTurn < turnBytes) return undefined
    sinceTurn = 0
    return new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
}

export function changedMeanwhile(path: string): TreeError {
  return new TreeError('malformed', `${showPath(path)} changed while it was read: pack a folder that nobody writes to`)
}
