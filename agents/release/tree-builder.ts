// The folder objects of a tree from its entries, told in any order: what its root is, is known once all were.
import { createFileHash } from '@aether/artifact/tree-digest'
import { nameOf } from '@aether/artifact/tree-name'
import { encodeFolder, type TreeEntry } from '@aether/artifact/tree-object'
import type { TreeTotals } from './tree-plan.ts'

export interface BuiltTree {
  readonly root: string
  readonly objects: ReadonlyMap<string, Buffer>
  readonly totals: TreeTotals
}

export interface TreeBuilder {
  folder(path: string): void
  link(path: string, to: string): void
  /** A file that comes in pieces. */
  fileBegin(path: string, executable: boolean, size: number): void
  fileData(bytes: Uint8Array): void
  fileEnd(): void
  /** A whole file, hashed by somebody else. */
  file(path: string, executable: boolean, size: number, digest: string): void
  /** Throws TreeError for what no tree can hold. */
  build(): BuiltTree
}

type Folder = { readonly folders: Map<string, Folder>; readonly others: TreeEntry[] }

export function createTreeBuilder(): TreeBuilder {
  const root = emptyFolder()
  const known = new Map([['', root]])
  let [entries, files, bytes] = [0, 0, 0]
  let hash = createFileHash()
  let open: { readonly path: string; readonly executable: boolean; readonly size: number } | undefined

  function folderOf(path: string): Folder {
    const found = known.get(path)
    if (found !== undefined) return found
    const made = emptyFolder()
    entries++
    known.set(path, made)
    const [parent, name] = split(path)
    folderOf(parent).folders.set(nameOf(name), made)
    return made
  }
  function put(path: string, make: (name: string) => TreeEntry): void {
    const [parent, name] = split(path)
    folderOf(parent).others.push(make(nameOf(name)))
    entries++
    files++
  }
  function file(path: string, executable: boolean, size: number, digest: string): void {
    put(path, (name) => ({ kind: 'file', name, executable, size, digest }))
    bytes += size
  }

  return {
    folder: (path) => void folderOf(path),
    link: (path, to) => put(path, (name) => ({ kind: 'link', name, to: nameOf(to) })),
    fileBegin(path, executable, size) {
      open = { path, executable, size }
      hash = createFileHash()
    },
    fileData: (part) => void hash.update(part),
    fileEnd() {
      if (open === undefined) throw new Error('no file has begun')
      file(open.path, open.executable, open.size, hash.digest('hex'))
      open = undefined
    },
    file,
    build() {
      const objects = new Map<string, Buffer>()
      const encode = ({ folders, others }: Folder): string => {
        const inside: TreeEntry[] = [...folders].map(([name, folder]) => ({
          kind: 'folder',
          name,
          digest: encode(folder),
        }))
        const all = [...inside, ...others].toSorted((a, b) => (a.name < b.name ? -1 : 1))
        const encoded = encodeFolder(all)
        for (const object of encoded.objects) objects.set(object.digest, object.bytes)
        return encoded.digest
      }
      return { root: encode(root), objects, totals: { entries, files, bytes } }
    },
  }
}

function emptyFolder(): Folder {
  return { folders: new Map(), others: [] }
}

function split(path: string): readonly [string, string] {
  const at = path.lastIndexOf('/')
  return at < 0 ? ['', path] : [path.slice(0, at), path.slice(at + 1)]
}
