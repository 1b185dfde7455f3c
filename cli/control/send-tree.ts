// Brings a tree to control: what control lacks of it, and then its root. Whoever is cut off goes on where it was, since what came
// whole stays there.
//  1 ask what is lacking, from the root down: what an artifact of the app has, it has with all below it
//  2 send one pack of just that
//  3 make it an artifact; where something went meanwhile, begin again
import { setTimeout as sleep } from 'node:timers/promises'
import { type DeltaContent, deltaContent, recordBytes } from '@aether/artifact/delta-write'
import type { BuiltTree } from '@aether/artifact/tree-build'
import { parseObject } from '@aether/artifact/tree-object'
import { mostAskedObjects } from '@aether/contract/control-api'
import { type Digest, digestFromHex } from '@aether/contract/digest'
import { Failure } from '../basics/failure.ts'
import type { Output } from '../basics/output.ts'
import { createProgress } from '../basics/progress.ts'
import type { Control } from './control.ts'
import { createObjectBody } from './object-stream.ts'

export interface TreeRelease {
  readonly tree: BuiltTree
  readonly signature: string | null
  readonly commit: string | null
}

export interface SentTree {
  /** Whether control was told anything new. */
  readonly isNew: boolean
  /** Folder objects and files. */
  readonly objects: number
  /** Before they were compressed. */
  readonly bytes: number
}

/** A file had other bytes when it was sent than when it was hashed. */
export class ChangedWhileSent extends Failure {}

export interface SendOptions {
  readonly output: Output
  readonly signal: AbortSignal
  /** A tree that control took of us a moment ago. */
  readonly from?: BuiltTree | undefined
}

const attempts = 4
const [firstDelayMs, lastDelayMs] = [250, 4_000]
/** So little of a known difference is sent without asking. */
const unaskedBytes = 256 * 1024
const nothingSent: SentTree = { isNew: false, objects: 0, bytes: 0 }

export function digestOf({ tree }: TreeRelease): Digest {
  return digestFromHex(tree.digest)
}

/** The root, or a signature, that control does not have: by another key, the same tree has another one. */
export async function isTreeNeeded(control: Control, app: string, release: TreeRelease): Promise<boolean> {
  const there = await control.findArtifact(app, digestOf(release))
  return there === undefined || (release.signature !== null && !there.signatures.includes(release.signature))
}

export async function sendTree(
  control: Control,
  app: string,
  release: TreeRelease,
  { output, signal, from }: SendOptions,
): Promise<SentTree> {
  if (from === undefined && !(await isTreeNeeded(control, app, release))) return nothingSent
  let sent = { isNew: true, objects: 0, bytes: 0 }
  for (let attempt = 1; ; attempt++) {
    try {
      const known = attempt === 1 ? from : undefined
      const content = await findContent(control, app, release.tree, known) // 1
      const count = content.objects.length + content.files.size
      if (count > 0) await send(control, app, release.tree, content, output) // 2
      sent = { isNew: true, objects: sent.objects + count, bytes: sent.bytes + recordBytes(content) }
      await control.registerTree(app, digestOf(release), optionsOf(release)) // 3
      return sent
    } catch (error) {
      const isOver = attempt === attempts || !(error instanceof Failure) || error instanceof ChangedWhileSent
      if (isOver || (error.kind !== 'network' && error.code !== 'incomplete' && error.code !== 'truncated')) throw error
      if (error.kind === 'network')
        await sleep(Math.min(lastDelayMs, firstDelayMs * 2 ** (attempt - 1)), undefined, { signal })
    } finally {
      output.transient('')
    }
  }
}

/** What would be sent. */
export async function findContent(
  control: Control,
  app: string,
  tree: BuiltTree,
  known: BuiltTree | undefined,
): Promise<DeltaContent> {
  const added = known && deltaContent(known, tree)
  if (added !== undefined && recordBytes(added) <= unaskedBytes) return added
  const objects: (readonly [string, Buffer])[] = []
  const sizes = new Map<string, number>()
  const seen = new Set([tree.digest])
  for (let level = [tree.digest]; level.length > 0; ) {
    const { lacking, unproven } = await ask(control, app, level)
    level = []
    for (const digest of [...lacking, ...unproven]) {
      const bytes = tree.objects.get(digest)
      if (bytes === undefined) continue
      if (lacking.has(digest)) objects.push([digest, bytes])
      const object = parseObject(bytes)
      const below = object.kind === 'branch' ? object.chunks : []
      const entries = object.kind === 'entries' ? object.entries : []
      for (const entry of entries) if (entry.kind === 'file') sizes.set(entry.digest, entry.size)
      const folders = entries.flatMap((entry) => (entry.kind === 'folder' ? [entry.digest] : []))
      for (const next of [...below, ...folders])
        if (!seen.has(next)) {
          seen.add(next)
          level.push(next)
        }
    }
  }
  const { lacking } = await ask(control, app, [...sizes.keys()])
  // In the order of the tree, in which control reads them again.
  const files = [...tree.contents.keys()].filter((digest) => lacking.has(digest))
  return { objects, files: new Map(files.map((digest) => [digest, sizes.get(digest) ?? 0])) }
}

async function ask(control: Control, app: string, digests: readonly string[]) {
  const [lacking, unproven] = [new Set<string>(), new Set<string>()]
  for (let at = 0; at < digests.length; at += mostAskedObjects) {
    const answer = await control.findLacking(app, digests.slice(at, at + mostAskedObjects))
    for (const digest of answer.lacking) lacking.add(digest)
    for (const digest of answer.unproven) unproven.add(digest)
  }
  return { lacking, unproven }
}

async function send(control: Control, app: string, tree: BuiltTree, content: DeltaContent, output: Output) {
  const body = createObjectBody(content, tree.contents, createProgress(output, recordBytes(content)))
  try {
    await control.sendObjects(app, await body.make())
  } catch (error) {
    const changed = body.changed()
    if (changed === undefined) throw error
    throw new ChangedWhileSent('failed', changed.message, {
      cause: changed,
      next: 'run it again when nobody writes to the folder',
    })
  }
}

function optionsOf({ signature, commit }: TreeRelease) {
  return { ...(signature === null ? {} : { signature }), ...(commit === null ? {} : { commit }) }
}
