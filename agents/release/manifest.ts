// The manifest of a release: its tree as lines (tree-lines.ts), beside the release and out of the app's sight. It is made
// from the release itself, in the boot that verified it (docs/adr/0010-trust-again.md); the completion record has its sha256.
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import type { Digest } from '@aether/contract/digest'
import { releaseName, type VolumeLayout } from '@aether/contract/layout'
import { syncFolder } from '@aether/runtime/atomic-file'
import { uniqueName } from '@aether/runtime/unique-name'
import { manifestPath } from './record.ts'
import type { Slices } from './slices.ts'
import { isBefore, pathOfLine, readTree } from './tree-lines.ts'

/** The first entry in which a release is not what its manifest says. */
export interface Difference {
  readonly detail: 'changed' | 'missing' | 'extra'
  readonly path: string
}

const batchChars = 64 * 1024

/** Reads the whole release and writes its manifest; answers its sha256. Leaves nothing behind where it rejects. */
export async function writeManifest(layout: VolumeLayout, digest: Digest, slices: Slices): Promise<string> {
  const path = manifestPath(layout, digest)
  const temporary = `${path}.${uniqueName()}.tmp`
  const hash = createHash('sha256')
  try {
    await mkdir(layout.manifests, { recursive: true })
    const file = await open(temporary, 'wx', 0o644)
    try {
      let batch = ''
      for await (const line of readTree(join(layout.releases, releaseName(digest)), slices)) {
        batch += `${line}\n`
        if (batch.length < batchChars) continue
        hash.update(batch)
        await file.appendFile(batch)
        batch = ''
      }
      hash.update(batch)
      await file.appendFile(batch)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
  return hash.digest('hex')
}

/** Reads the release until it differs; `undefined` where it is what the manifest of this sha256 says. */
export async function findDifference(
  layout: VolumeLayout,
  digest: Digest,
  sha256: string,
  slices: Slices,
): Promise<Difference | undefined> {
  const hash = createHash('sha256')
  const manifest = readLines(manifestPath(layout, digest))
  try {
    for await (const line of readTree(join(layout.releases, releaseName(digest)), slices)) {
      const wanted = manifest.next()
      if (wanted.done === true || wanted.value !== line) return differenceOf(line, wanted)
      hash.update(`${line}\n`)
    }
    const wanted = manifest.next()
    if (wanted.done !== true) return { detail: 'missing', path: pathOfLine(wanted.value) }
    // Equal line by line to a manifest that is itself another one than the record's.
    return hash.digest('hex') === sha256 ? undefined : { detail: 'changed', path: '' }
  } finally {
    manifest.return()
  }
}

function differenceOf(line: string, { value, done }: IteratorResult<string, void>): Difference {
  const path = pathOfLine(line)
  if (done === true || isBefore(path, pathOfLine(value))) return { detail: 'extra', path }
  const wanted = pathOfLine(value)
  return isBefore(wanted, path) ? { detail: 'missing', path: wanted } : { detail: 'changed', path }
}

function* readLines(path: string): Generator<string, void, void> {
  const file = openSync(path, 'r')
  const decoder = new StringDecoder('utf8')
  const chunk = Buffer.allocUnsafe(batchChars)
  try {
    let rest = ''
    for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk)) {
      const lines = (rest + decoder.write(chunk.subarray(0, read))).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
    }
    if (rest !== '') yield rest
  } finally {
    closeSync(file)
  }
}
