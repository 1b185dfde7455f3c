// The versions of an app, each some edits after the one before: as trees on the server, with a delta from the last one.

import { readdirSync } from 'node:fs'
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeDelta } from '@aether/artifact/delta-write'
import { type SigningPair, signDigest } from '@aether/artifact/sign'
import { deltaSuffix } from '@aether/artifact/store-names'
import { type BuiltTree, buildTree } from '@aether/artifact/tree-build'
import { readSource } from '@aether/artifact/tree-source'
import { writeTree } from '@aether/artifact/tree-store'
import { type Digest, digestFromHex } from '@aether/contract/digest'

export interface Version {
  /** Its path on the server. */
  readonly name: string
  readonly digest: Digest
  readonly signature: string
}

export interface Versions {
  /** Root, full pack and index of the app as it is. */
  publishWhole(): Promise<Version>
  /** Root and delta from the version before. */
  publishDelta(): Promise<Version>
  /** Changes so many of the files, spread evenly; one alone is made 2 KB. */
  edit(files: number): Promise<void>
  readonly files: number
}

const editBytes = 2048

export function createVersions(app: string, served: string, name: string, { privateKey }: SigningPair): Versions {
  const files = readdirSync(app, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
  let last: BuiltTree | undefined
  let [published, edited] = [0, 0]

  function next(built: BuiltTree): Version {
    last = built
    const digest = digestFromHex(built.digest)
    return { name: `${name}-${published++}`, digest, signature: signDigest(digest, privateKey) }
  }
  return {
    files: files.length,
    async publishWhole() {
      const { built } = await writeTree(readSource(app), join(served, `${name}-${published}`))
      return next(built)
    },
    async publishDelta() {
      if (last === undefined) throw new Error('there is no version before')
      const built = await buildTree(readSource(app))
      const path = join(served, `${name}-${published}`)
      const delta = await open(path + deltaSuffix(last.digest), 'w')
      await writeDelta(last, built, built.contents, (part) => delta.writeFile(part))
      await delta.close()
      await writeFile(path, built.objects.get(built.digest) ?? '')
      return next(built)
    },
    async edit(count) {
      const mark = Buffer.from(`// edit ${++edited}\n`)
      for (let n = 0; n < count; n++) {
        const file = files[Math.floor((n * files.length) / count)] ?? ''
        const text = count === 1 ? Buffer.alloc(editBytes, mark) : await readFile(file)
        await writeFile(file, Buffer.concat([mark, text.subarray(mark.length)]))
      }
    },
  }
}
