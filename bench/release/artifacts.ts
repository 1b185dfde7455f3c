// Makes the artifact of a case: the same bytes each time, but for node-modules, which is what the lockfile names.
import { createCipheriv } from 'node:crypto'
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { packFolder } from '@aether/artifact/pack'
import { type SigningPair, signDigest } from '@aether/artifact/sign'
import type { Digest } from '@aether/contract/digest'
import { copyAppWithPackages } from '@aether/e2e/kit/app-packages'
import { root } from '../processes.ts'
import type { Case } from './cases.ts'
import { measureTree, type Tree } from './tree.ts'

export interface Artifact {
  /** Its path on the server. */
  readonly name: string
  readonly file: string
  /** Bytes, packed. */
  readonly bytes: number
  readonly digest: Digest
  readonly signature: string
  readonly tree: Tree
}

const megabyte = 1_000_000

/** Leaves `<folder>/<name>.tar.gz` and nothing else. */
export async function makeArtifact({ name, megabytes, content }: Case, folder: string, keys: SigningPair) {
  const app = join(folder, `${name}-tree`)
  await mkdir(app)
  await plantApp({ megabytes, content }, app)
  return packTree(app, join(folder, `${name}.tar.gz`), keys)
}

/** The files of a case, in a folder that is there. */
export async function plantApp({ megabytes, content }: Omit<Case, 'name'>, app: string): Promise<void> {
  if (content.kind === 'code') await writeCode(app, content.files, megabytes * megabyte, content.freshLines)
  else if (content.kind === 'incompressible') await writeNoise(join(app, 'data.bin'), megabytes * megabyte)
  else await copyAppWithPackages(join(root, 'examples/fastify'), app)
}

/** An artifact of one small file. */
export async function makeTiny(name: string, folder: string, keys: SigningPair): Promise<Artifact> {
  const app = join(folder, `${name}-tree`)
  await mkdir(app)
  await writeFile(join(app, 'server.js'), `// ${name}\n`)
  return packTree(app, join(folder, `${name}.tar.gz`), keys)
}

/** Removes the tree once it is packed. */
async function packTree(app: string, file: string, { privateKey }: SigningPair): Promise<Artifact> {
  const tree = measureTree(app)
  const { digest, bytes } = await packFolder(app, file)
  await rm(app, { recursive: true })
  return { name: basename(file), file, bytes, digest, signature: signDigest(digest, privateKey), tree }
}

/** Ten files a folder, in packages as npm lays them out. */
async function writeCode(app: string, files: number, bytes: number, freshLines: number): Promise<void> {
  const random = createRandom(files)
  const words = Array.from({ length: 2000 }, () => makeWord(random))
  const makeLine = () => {
    const count = 3 + Math.floor(random() * 7)
    return Buffer.from(`  ${Array.from({ length: count }, () => pick(words, random)).join(' ')};\n`)
  }
  const known = Array.from({ length: 100 }, makeLine)
  for (let at = 0; at < files; at++) {
    const path = join(
      app,
      `node_modules/package-${Math.floor(at / 50)}/lib/part-${Math.floor(at / 10) % 5}/file-${at}.js`,
    )
    if (at % 10 === 0) await mkdir(dirname(path), { recursive: true })
    // Most files are small and few are large: exponential sizes of the wanted mean.
    const text = Buffer.alloc(Math.round(-Math.log(1 - random()) * (bytes / files)))
    for (let end = 0; end < text.length; ) {
      const line = random() * 100 < freshLines ? makeLine() : pick(known, random)
      end += line.copy(text, end)
    }
    await writeFile(path, text)
  }
}

/** A stream cipher's output for zeros. */
async function writeNoise(file: string, bytes: number): Promise<void> {
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32), Buffer.alloc(16))
  const zeros = Buffer.alloc(megabyte)
  for (let at = 0; at < bytes; at += zeros.length) await appendFile(file, cipher.update(zeros))
}

function makeWord(random: () => number): string {
  const letters = 'etaoinshrdlucmfwypvbgkjqxz'
  const length = 2 + Math.floor(random() * 9)
  return Array.from({ length }, () => letters[Math.floor(random() ** 2 * letters.length)]).join('')
}

function pick<T>(values: readonly T[], random: () => number): T {
  const found = values[Math.floor(random() * values.length)]
  if (found === undefined) throw new Error('there is nothing to pick from')
  return found
}

/** mulberry32: from 0 to 1, the same row of numbers for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
