// Builds the tree of a folder again and again. A file that did not change (known-file.ts) is not read, a folder whose entries are
// those of before is not encoded. The same digest as tree-build.ts gives, however it came about.
import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import { type DeltaContent, deltaContent } from './delta-write.ts'
import { isUnchanged, type KnownFile } from './known-file.ts'
import { type BuiltTree, changedMeanwhile } from './tree-build.ts'
import { createFileHash } from './tree-digest.ts'
import { TreeError } from './tree-error.ts'
import { pathBelow } from './tree-name.ts'
import { type EncodedFolder, encodeFolder, type FileEntry, type TreeEntry } from './tree-object.ts'
import type { SourceEntry } from './tree-source.ts'

export interface NextTree extends BuiltTree {
  /** What the tree of the build before has nowhere; everything, the first time. */
  readonly added: DeltaContent
  /** How many files were read, because they are new or changed, or may have. */
  readonly filesRead: number
}

export interface BuildChoices {
  /** Reads every file, whatever is known of it. */
  readonly readAll?: boolean
  /**
   * Folders of which the caller knows that nobody wrote below them since the last build: they are not even looked at. Paths are
   * as in tree-name.ts.
   */
  readonly isUntouched?: (folder: string) => boolean
}

export interface IncrementalTree {
  /** One at a time. Throws TreeError; then what the builds before learnt still counts. */
  build(source: readonly SourceEntry[], choices?: BuildChoices): Promise<NextTree>
  /** By path, what the last build knows of each file: for a cache, and `createIncrementalTree` of the next process. */
  known(): ReadonlyMap<string, KnownFile>
}

interface Folder {
  readonly entries: readonly TreeEntry[]
  readonly encoded: EncodedFolder
  /** Where each file of `entries` lies. */
  readonly places: ReadonlyMap<string, string | Buffer>
}

const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const pieceBytes = 512 * 1024
/** After so much work without a wait the event loop gets a turn; a look at a file counts as the reading of so many bytes. */
const turnBytes = 16 * 1024 * 1024
const lookBytes = 16 * 1024

export function createIncrementalTree(before: ReadonlyMap<string, KnownFile> = new Map()): IncrementalTree {
  let knownFiles = before
  let knownFolders: ReadonlyMap<string, Folder> = new Map()
  let last: BuiltTree | undefined

  async function build(source: readonly SourceEntry[], { readAll, isUntouched }: BuildChoices = {}): Promise<NextTree> {
    const files = new Map<string, KnownFile>()
    const folders = new Map<string, Folder>()
    const objects = new Map<string, Buffer>()
    const contents = new Map<string, string | Buffer>()
    const piece = Buffer.allocUnsafe(pieceBytes)
    let [entries, bytes, filesRead, sinceTurn] = [0, 0, 0, 0]
    const root = await folder(source, '')
    const built = { digest: root.digest, objects, contents, entries, files: files.size, bytes }
    if (built.files === 0) throw new TreeError('malformed', 'there is no file in it: pack the folder of an app')
    const added = deltaContent(last ?? nothing, built)
    knownFiles = files
    knownFolders = folders
    last = built
    return { ...built, added, filesRead }

    async function folder(found: readonly SourceEntry[], path: string): Promise<EncodedFolder> {
      const made: TreeEntry[] = []
      const places = new Map<string, string | Buffer>()
      for (const entry of found) {
        const below = pathBelow(path, entry.name)
        if (entry.kind === 'link') made.push(entry)
        else if (entry.kind === 'file') {
          const read = await file(entry, below)
          places.set(entry.name, entry.file)
          contents.set(read.digest, entry.file)
          made.push(read)
        } else {
          const old = isUntouched?.(below) === true ? knownFolders.get(below) : undefined
          const encoded = old === undefined ? await folder(entry.entries(), below) : keep(old, below)
          made.push({ kind: 'folder', name: entry.name, digest: encoded.digest })
        }
      }
      const old = knownFolders.get(path)
      const encoded = old !== undefined && areSame(old.entries, made) ? old.encoded : encodeFolder(made)
      count(path, { entries: made, encoded, places })
      return encoded
    }

    /** As it was, with all below it. */
    function keep(old: Folder, path: string): EncodedFolder {
      for (const entry of old.entries) {
        const below = pathBelow(path, entry.name)
        const known = entry.kind === 'file' ? knownFiles.get(below) : undefined
        const place = old.places.get(entry.name)
        if (known !== undefined) files.set(below, known)
        if (known !== undefined && place !== undefined) contents.set(known.digest, place)
        const inside = entry.kind === 'folder' ? knownFolders.get(below) : undefined
        if (inside !== undefined) keep(inside, below)
      }
      count(path, old)
      return old.encoded
    }

    function count(path: string, one: Folder): void {
      folders.set(path, one)
      entries += one.entries.length
      for (const object of one.encoded.objects) objects.set(object.digest, object.bytes)
      for (const entry of one.entries) if (entry.kind === 'file') bytes += entry.size
    }

    async function file(entry: SourceEntry & { kind: 'file' }, path: string): Promise<FileEntry> {
      const old = readAll === true ? undefined : knownFiles.get(path)
      if (old !== undefined) {
        const stat = lstatSync(entry.file, { bigint: true })
        await turn(lookBytes)
        if (stat.isFile() && isUnchanged(old, stat)) return learn(entry, path, stat, old)
      }
      const lookedAt = Date.now()
      const open = openSync(entry.file, flags)
      try {
        const stat = fstatSync(open, { bigint: true })
        if (!stat.isFile()) throw changedMeanwhile(path)
        filesRead++
        const size = Number(stat.size)
        const digest = await digestOf(open, size, path)
        const { ctimeNs, mtimeNs, ino: inode } = stat
        return learn(entry, path, stat, { size, ctimeNs, mtimeNs, inode, lookedAt, digest })
      } finally {
        closeSync(open)
      }
    }

    function learn(
      entry: SourceEntry & { kind: 'file' },
      path: string,
      stat: BigIntStats,
      known: KnownFile,
    ): FileEntry {
      files.set(path, known)
      const executable = entry.executable ?? (stat.mode & 0o111n) !== 0n
      return { kind: 'file', name: entry.name, executable, size: known.size, digest: known.digest }
    }

    async function digestOf(open: number, size: number, path: string): Promise<string> {
      const hash = createFileHash()
      let left = size
      // One byte more than there should be shows that there is.
      for (let read = -1; read !== 0; ) {
        read = readSync(open, piece, 0, Math.min(pieceBytes, left + 1), null)
        left -= read
        if (left < 0) throw changedMeanwhile(path)
        hash.update(piece.subarray(0, read))
        await turn(read + lookBytes)
        if (left === 0 && read < pieceBytes) break
      }
      if (left > 0) throw changedMeanwhile(path)
      return hash.digest('hex')
    }

    function turn(work: number): Promise<void> | undefined {
      sinceTurn += work
      if (sinceTurn < turnBytes) return undefined
      sinceTurn = 0
      return new Promise((resolve) => {
        setImmediate(resolve)
      })
    }
  }

  return { build, known: () => knownFiles }
}

const nothing = { digest: '', objects: new Map<string, Buffer>(), contents: new Map<string, never>() }

function areSame(old: readonly TreeEntry[], now: readonly TreeEntry[]): boolean {
  return old.length === now.length && old.every((entry, at) => isSame(entry, now[at]))
}

function isSame(one: TreeEntry, other: TreeEntry | undefined): boolean {
  if (other === undefined || one.name !== other.name || one.kind !== other.kind) return false
  if (one.kind === 'link' || other.kind === 'link')
    return one.kind === 'link' && other.kind === 'link' && one.to === other.to
  if (one.digest !== other.digest) return false
  return (
    one.kind !== 'file' || (other.kind === 'file' && one.executable === other.executable && one.size === other.size)
  )
}
