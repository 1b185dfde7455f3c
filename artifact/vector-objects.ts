// Folder objects that a reader must take or refuse, with what is the matter.
import { encodeFolder, type TreeEntry } from './tree-object.ts'

export interface ObjectVector {
  readonly what: string
  readonly hex: string
  /** Taken, and then this is the folder's digest; or refused. */
  readonly digest: string | null
}

const zeros = '00'.repeat(32)
const head = (type: number, count: number) =>
  Buffer.concat([Buffer.from('aether-tree-1\0'), Buffer.from([type]), uint(count, 4)]).toString('hex')
const named = (name: string) => uint(name.length, 2).toString('hex') + Buffer.from(name, 'latin1').toString('hex')
const folder = (name: string) => `64${named(name)}${zeros}`
const file = (name: string, size: string, kind = '66') => kind + named(name) + size + zeros
const link = (name: string, to: string) => `6c${named(name)}${named(to)}`
const noBytes = '00'.repeat(8)

export function objectVectors(): readonly ObjectVector[] {
  const good = (what: string, entries: readonly TreeEntry[]): ObjectVector => {
    const { digest, objects } = encodeFolder(entries)
    return { what, hex: objects[0].bytes.toString('hex'), digest }
  }
  const bad = (what: string, hex: string): ObjectVector => ({ what, hex, digest: null })
  return [
    good('no entry', []),
    good('one of each kind', [
      { kind: 'folder', name: 'a', digest: zeros },
      { kind: 'link', name: 'b', to: 'a' },
      { kind: 'file', name: 'c', executable: false, size: 0, digest: zeros },
      { kind: 'file', name: 'd', executable: true, size: Number.MAX_SAFE_INTEGER, digest: zeros },
      { kind: 'folder', name: '\xff', digest: zeros },
    ]),
    good('a name of 255 bytes', [{ kind: 'folder', name: 'n'.repeat(255), digest: zeros }]),
    bad('nothing', ''),
    bad('another magic', head(1, 0).replace('31', '32')),
    bad('a head without a count', head(1, 0).slice(0, -8)),
    bad('type 3', head(3, 0)),
    bad('something behind the last entry', `${head(1, 0)}00`),
    bad('an entry less than said', head(1, 1)),
    bad('an entry that is cut', head(1, 1) + folder('a').slice(0, -2)),
    bad('an unknown kind', head(1, 1) + folder('a').replace(/^64/, '68')),
    bad('names out of order', head(1, 2) + folder('b') + folder('a')),
    bad('a name twice', head(1, 2) + folder('a') + file('a', noBytes)),
    bad('names in the order of UTF-16', head(1, 2) + folder('\xf0\x9f\x9a\x80') + folder('\xef\xbd\x9e')),
    bad('an empty name', head(1, 1) + folder('')),
    bad('the name .', head(1, 1) + folder('.')),
    bad('the name ..', head(1, 1) + folder('..')),
    bad('a name with a slash', head(1, 1) + folder('a/b')),
    bad('a name with NUL', head(1, 1) + folder('a\0b')),
    bad('a name of 256 bytes', head(1, 1) + folder('n'.repeat(256))),
    bad('a size of 2^53', head(1, 1) + file('a', '0020000000000000')),
    bad('a symlink to nothing', head(1, 1) + link('a', '')),
    bad('a symlink to a path with NUL', head(1, 1) + link('a', 'b\0c')),
    bad('a symlink to a path of 4096 bytes', head(1, 1) + link('a', 'b'.repeat(4096))),
    bad(
      '129 entries in one object',
      head(1, 129) + Array.from({ length: 129 }, (_, at) => folder(`${1000 + at}`)).join(''),
    ),
    bad('a branch of one chunk', head(2, 1) + zeros),
    bad('a branch with a chunk twice', head(2, 2) + zeros + zeros),
    bad('a branch that is cut', head(2, 2) + zeros),
  ]
}

function uint(value: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  bytes.writeUIntBE(value, 0, length)
  return bytes
}
