// The files of an app without a cluster: what is read of them, and how ours are written among what others wrote.
import { randomBytes } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { annotations } from '@aether/contract/annotations'
import { formatPodinfo, parsePodinfo } from '@aether/contract/podinfo'
import { writeFileAtomic } from '@aether/runtime/atomic-file'
import type { AppRef, TargetAnnotations } from '../domain/ports.ts'

const maxBytes = 512 * 1024
const settleMs = 10

/** DNS label (RFC 1123): a namespace, or an app. */
export function isLabel(name: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)
}

/** Where an app's agents find what they need; for whoever starts them. */
export function localFilesOf(folder: string, { namespace, app }: AppRef) {
  const own = join(folder, namespace, app)
  return { folder: own, annotations: join(own, 'annotations'), token: join(own, 'token') }
}

export async function foldersIn(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory() && isLabel(entry.name)).map(({ name }) => name)
}

/** Undefined where there is none; rejects where it is larger than any object's annotations. */
export async function readAnnotations(path: string): Promise<string | undefined> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  )
  if (size > maxBytes) throw new Error(`${path} is larger than ${maxBytes} bytes`)
  return await readText(path)
}

/** A program that writes in place empties the file first: what is read is taken when it stays the same for a moment. */
export async function readSettled(path: string): Promise<string | undefined> {
  let text = await readAnnotations(path)
  for (let tries = 0; tries < 20; tries++) {
    await sleep(settleMs)
    const again = await readAnnotations(path)
    if (again === text) break
    text = again
  }
  return text
}

export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

export async function makeToken(path: string): Promise<string> {
  const token = randomBytes(32).toString('base64url')
  await writeFileAtomic(path, token, 0o600)
  return token
}

/** Of the text of an annotations file. */
export function targetOf(text: string): TargetAnnotations {
  const all = parsePodinfo(text)
  return {
    digest: all[annotations.digest] ?? null,
    artifactUrl: all[annotations.artifactUrl] ?? null,
    signature: all[annotations.signature] ?? null,
    commit: all[annotations.buildCommit] ?? null,
  }
}

function merge(kept: Readonly<Record<string, string>>, target: TargetAnnotations): Record<string, string> {
  const { digest, artifactUrl, signature, commit } = target
  const ours = {
    [annotations.digest]: digest,
    [annotations.artifactUrl]: artifactUrl,
    [annotations.signature]: signature,
    [annotations.buildCommit]: commit,
  }
  const all: Record<string, string> = {}
  for (const [name, value] of Object.entries({ ...kept, ...ours })) if (value !== null) all[name] = value
  return all
}

/** Writes ours among what others have written there. */
export async function writeTarget(path: string, target: TargetAnnotations): Promise<void> {
  const kept = parsePodinfo((await readAnnotations(path)) ?? '')
  await writeFileAtomic(path, formatPodinfo(merge(kept, target)))
}
