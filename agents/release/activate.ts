// Stage 4. Makes a staged tree a release and moves `current` to it:
//  1 the tree lies whole in staging (extract.ts)     2 the completion record is written and synced
//  3 the tree is renamed to its place                4 both names are synced
//  5 activation.json is written beside 4, and renamed into place once 4 is done
//                                                    6 a temporary symlink with a name of its own is made
//  7 it is renamed over `current`                    8 the workspace is synced
//  9 the fetcher's state.json (fetcher/state.ts)    10 old releases are pruned (prune.ts)
// Whatever step a crash hits, `current` is absent or resolves to one complete release.
import { lstatSync, mkdirSync, readFileSync, readlinkSync, renameSync, symlinkSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Activation, formatActivation, parseActivation } from '@aether/contract/activation'
import type { Digest } from '@aether/contract/digest'
import {
  currentLinkTarget,
  digestOfReleaseName,
  releaseName,
  type VolumeLayout,
  workspaceNames,
} from '@aether/contract/layout'
import { ReasonError } from '@aether/contract/reasons'
import { replaceFile, syncFolder, syncFolders } from '@aether/runtime/atomic-file'
import { uniqueName } from '@aether/runtime/unique-name'
import { toDiskError } from './disk-error.ts'
import type { Staged } from './extract.ts'
import { mendTree } from './mend.ts'
import { amendRecord, bootOf, placeRecord, readRecord, recordPath } from './record.ts'
import { removeTree } from './remove-tree.ts'
import { willHold } from './tree-memory.ts'
import type { StagedTree } from './tree-staged.ts'
import { trustRelease } from './trust.ts'

export { recordPath } from './record.ts'

const complete = Symbol('release')

/** A complete, verified release on disk. Made from a Staged, or found with its completion record. */
export interface Release {
  readonly digest: Digest
  /** Size of the artifact it came from. */
  readonly artifactBytes: number
  /** Size of its files. */
  readonly bytes: number
  /** Its folder was there and was put right, and it was not activated since. */
  readonly isMended: boolean
  /** Step 4, which goes beside the first half of step 5. */
  readonly synced: Promise<unknown>
  readonly [complete]: true
}

/** The release of this digest where it is on disk and trusted (trust.ts): existence of a folder alone is not trust. */
export async function findRelease(
  layout: VolumeLayout,
  digest: Digest,
  signal?: AbortSignal,
): Promise<Release | undefined> {
  const record = await trustRelease(layout, digest, signal)
  if (record === undefined || record instanceof ReasonError) return undefined
  const { artifactBytes, bytes, mended: isMended } = record
  return { digest, artifactBytes, bytes, isMended, synced: Promise.resolve(), [complete]: true }
}

/** Steps 2 to 4. A folder that has the name already is not trusted; a process may read it all the same, so it is put right where it is. */
export async function installRelease(staged: Staged | StagedTree, layout: VolumeLayout): Promise<Release> {
  const { digest, folder } = staged
  const what = contentOf(staged)
  const { artifactBytes, bytes } = what
  const path = releasePath(layout, digest)
  try {
    mkdirSync(layout.releases, { recursive: true })
    mkdirSync(layout.complete, { recursive: true })
    const found = lstatSync(path, { throwIfNoEntry: false })
    const isMended = found?.isDirectory() ?? false
    const boot = await bootOf(layout)
    const record = { digest, ...what, boot, manifest: null, mended: isMended }
    if (isMended) {
      await mendTree(folder, path, layout.staging) // 3, entry by entry
      await placeRecord(layout, record) // 2, last, because the name was there before
    } else {
      if (found !== undefined) renameSync(path, join(layout.staging, `${releaseName(digest)}-${uniqueName()}`))
      await placeRecord(layout, record) // 2
      renameSync(folder, path) // 3
    }
    const synced = syncNames(layout, digest) // 4
    if (staged.kind === 'tree') willHold(layout, digest, staged.find)
    return { digest, artifactBytes, bytes, isMended, synced, [complete]: true }
  } catch (error) {
    const reason = await toDiskError(error, layout.root)
    await removeTree(folder)
    await rm(recordPath(layout, digest), { force: true })
    throw reason
  }
}

function syncNames(layout: VolumeLayout, digest: Digest): Promise<unknown> {
  const synced = syncFolders(layout.complete, layout.releases).catch(async (error: unknown) => {
    await rm(recordPath(layout, digest), { force: true })
    throw error
  })
  synced.catch(() => undefined) // activate waits for it, where it comes to that
  return synced
}

function contentOf(staged: Staged | StagedTree) {
  if (staged.kind === 'archive') {
    const { files, bytes, held } = staged
    return { artifactBytes: held.bytes, files, bytes, tree: null }
  }
  const { totals, wireBytes: artifactBytes, ancestors } = staged
  const { entries, files, bytes } = totals
  return { artifactBytes, files, bytes, tree: { entries, ancestors } }
}

/** Steps 5 to 8. Answers the new activation; its id is one more than the last. */
export async function activate(
  release: Release,
  layout: VolumeLayout,
  commit: string | null,
  now: () => Date,
): Promise<Activation> {
  const [last, current] = [await readActivation(layout), await readCurrent(layout)]
  const { digest, isMended } = release
  const activation: Activation = {
    id: (last?.id ?? 0) + 1,
    digest,
    previous: isMended && current === digest ? (last?.previous ?? null) : current,
    at: now().toISOString(),
    commit,
    repaired: isMended,
  }
  const link = join(layout.workspace, `.current-${uniqueName()}`)
  try {
    const path = join(layout.workspace, workspaceNames.activation)
    await replaceFile(path, formatActivation(activation), { after: release.synced }) // 5
    symlinkSync(currentLinkTarget(digest), link) // 6
    renameSync(link, join(layout.workspace, workspaceNames.current)) // 7
    await syncFolder(layout.workspace) // 8
    const record = isMended ? await readRecord(layout, digest) : undefined
    if (record !== undefined) await amendRecord(layout, { ...record, mended: false })
    return activation
  } catch (error) {
    await rm(link, { force: true })
    throw await toDiskError(error, layout.root)
  }
}

/** The digest that `current` points to; null where there is none. */
export async function readCurrent(layout: VolumeLayout): Promise<Digest | null> {
  try {
    return digestOfReleaseName(basename(readlinkSync(`${layout.workspace}/${workspaceNames.current}`))) ?? null
  } catch {
    return null
  }
}

/** The last activation; null before the first, or where the record is unreadable. */
export async function readActivation(layout: VolumeLayout): Promise<Activation | null> {
  try {
    return parseActivation(readFileSync(`${layout.workspace}/${workspaceNames.activation}`, 'utf8'))
  } catch {
    return null
  }
}

export function releasePath(layout: VolumeLayout, digest: Digest): string {
  return join(layout.releases, releaseName(digest))
}
