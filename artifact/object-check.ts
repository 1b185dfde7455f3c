// Takes folder objects from anybody, parents before children: each must be asked for by one before it, and have the bytes
// that its digest names. So nobody can send more than the tree has.
import { digestOfObject } from './tree-digest.ts'
import { TreeError } from './tree-error.ts'
import { maxObjectBytes, parseObject } from './tree-object.ts'

export interface ObjectCheck {
  /** Before its bytes come. Throws TreeError where nobody asked for it, or not any more. */
  expect(digest: string, length: number): void
  /** An object, `said` to be of a digest; answers the digest. Throws TreeError where it is not that, or not asked for. */
  take(bytes: Buffer, said?: string): string
  /** Throws TreeError where one is still missing. */
  requireAll(): void
  /** The size of a file that an object spoke of. */
  sizeOf(file: string): number | undefined
}

/** `holds` says which objects are there already: they are not asked for. */
export function createObjectCheck(root: string, holds: (digest: string) => boolean, maxEntries: number): ObjectCheck {
  const wanted = new Set(holds(root) ? [] : [root])
  const taken = new Set<string>()
  const sizes = new Map<string, number>()
  let entries = 0

  function want(digest: string): void {
    if (!taken.has(digest) && !holds(digest)) wanted.add(digest)
  }

  function requireWanted(digest: string): void {
    if (!wanted.has(digest))
      throw new TreeError('extra', `the folder object ${digest} came, which is asked for no more, or never was`)
  }

  return {
    expect(digest, length) {
      requireWanted(digest)
      if (length > maxObjectBytes)
        throw new TreeError('limit', `the folder object ${digest} has ${length} bytes: ${maxObjectBytes} are taken`)
    },
    take(bytes, said) {
      const digest = digestOfObject(bytes)
      if (said !== undefined && said !== digest)
        throw new TreeError('mismatch', `the folder object ${said} came with other bytes`)
      requireWanted(digest)
      wanted.delete(digest)
      taken.add(digest)
      const object = parseObject(bytes)
      if (object.kind === 'branch') {
        for (const chunk of object.chunks) want(chunk)
        return digest
      }
      entries += object.entries.length
      if (entries > maxEntries)
        throw new TreeError('limit', `the folder objects that came have more than ${maxEntries} entries`)
      for (const entry of object.entries) {
        if (entry.kind === 'folder') want(entry.digest)
        if (entry.kind !== 'file') continue
        const { digest: file, size } = entry
        if ((sizes.get(file) ?? size) !== size) throw new TreeError('malformed', `the file ${file} has two sizes`)
        sizes.set(file, size)
      }
      return digest
    },
    requireAll() {
      const [first] = wanted
      if (first !== undefined) throw new TreeError('missing', `the folder object ${first} did not come`)
    },
    sizeOf: (file) => sizes.get(file),
  }
}
