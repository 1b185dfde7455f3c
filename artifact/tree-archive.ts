// An archive as the source of a tree: read by the rules by which a pod reads it, its contents kept in numbered files, so that no
// name of the archive ever meets the disk. A hard link becomes a file like the one that it links to.
import { closeSync, openSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { createInflater, type InflateLimits } from './inflate.ts'
import { createTarReader, type ReadLimits, type TarEntry } from './tar-reader.ts'
import { TreeError } from './tree-error.ts'
import { nameOf } from './tree-name.ts'
import { createTreePolicy, type TreeLimits } from './tree-policy.ts'
import type { SourceEntry } from './tree-source.ts'

export interface ArchiveLimits extends TreeLimits, ReadLimits, InflateLimits {
  readonly maxUnpackedBytes: number
}

type Leaf = Exclude<SourceEntry, { kind: 'folder' }>
interface Folder {
  readonly kind: 'folder'
  readonly inside: Map<string, Leaf | Folder>
}

const pieceBytes = 256 * 1024

/** `scratch` is an empty folder; the files in it are to stay until the tree is built. Throws ReasonError `extract`. */
export async function readArchive(
  archive: string,
  scratch: string,
  limits: ArchiveLimits,
): Promise<readonly SourceEntry[]> {
  const policy = createTreePolicy(limits)
  const root: Folder = { kind: 'folder', inside: new Map() }
  let [files, bytes, writing] = [0, 0, -1]

  const reader = createTarReader(
    {
      entry(entry) {
        if (entry.kind === 'folder') folderAt(policy.admitFolder(entry.path).path)
        else if (entry.kind === 'file') beginFile(entry)
        else if (entry.kind === 'symlink') {
          const path = policy.admitSymlink(entry.path, entry.to)
          put(path, { kind: 'link', name: '', to: nameOf(entry.to) })
        } else {
          const { path, to } = policy.admitHardLink(entry.path, entry.to)
          const found = find(to)
          if (found?.kind === 'file') put(path, found)
        }
      },
      data(part) {
        for (let at = 0; at < part.length; ) at += writeSync(writing, part, at)
      },
      end: endFile,
    },
    limits,
  )

  function beginFile(entry: TarEntry & { kind: 'file' }): void {
    bytes += entry.size
    if (bytes > limits.maxUnpackedBytes)
      throw new TreeError('limit', `the archive has more than ${limits.maxUnpackedBytes} bytes, unpacked`)
    const file = join(scratch, String(files++))
    put(policy.admitFile(entry.path), { kind: 'file', name: '', file, executable: entry.executable })
    writing = openSync(file, 'wx')
  }
  function endFile(): void {
    if (writing >= 0) closeSync(writing)
    writing = -1
  }
  function folderAt(path: string): Folder {
    let at = root
    for (const name of path === '' ? [] : path.split('/').map(nameOf)) {
      const found = at.inside.get(name)
      const next: Folder = found?.kind === 'folder' ? found : { kind: 'folder', inside: new Map() }
      at.inside.set(name, next)
      at = next
    }
    return at
  }
  function put(path: string, leaf: Leaf): void {
    const cut = path.lastIndexOf('/')
    const name = nameOf(path.slice(cut + 1))
    folderAt(path.slice(0, Math.max(0, cut))).inside.set(name, { ...leaf, name })
  }
  function find(path: string): Leaf | Folder | undefined {
    const cut = path.lastIndexOf('/')
    return folderAt(path.slice(0, Math.max(0, cut))).inside.get(nameOf(path.slice(cut + 1)))
  }

  const inflater = createInflater(reader.write, limits)
  const file = await open(archive)
  try {
    for (;;) {
      // Its memory is the inflater's from then on.
      const piece = Buffer.allocUnsafeSlow(pieceBytes)
      const { bytesRead } = await file.read(piece)
      if (bytesRead === 0) break
      await inflater.write(piece.subarray(0, bytesRead))
    }
    await inflater.end()
    reader.finish()
    policy.finish()
  } finally {
    inflater.abandon()
    endFile()
    await file.close()
  }
  return listed(root)
}

function listed(folder: Folder): readonly SourceEntry[] {
  return [...folder.inside]
    .map(
      ([name, found]): SourceEntry =>
        found.kind === 'folder' ? { kind: 'folder', name, entries: () => listed(found) } : found,
    )
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}
