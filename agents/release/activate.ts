// Stage 4. Makes a staged tree a release and moves `current` to it:
//  1 the tree lies whole in staging (extract.ts)     2 the completion record is written and synced
//  3 the tree is renamed to its place                4 the folder of releases is synced
//  5 activation.json is renamed into place           6 a temporary symlink with a name of its own is made
//  7 it is renamed over `current`                    8 the workspace is synced
//  9 the fetcher's state.json (fetcher/state.ts)    10 old releases are pruned (prune.ts)
// Whatever step a crash hits, `current` is absent or resolves to one complete release.
import { randomUUID } from 'node:crypto'
import { access, mkdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Activation, formatActivation, parseActivation } from '@aether/contract/activation'
import type { Digest } from '@aether/contract/digest'
import { parseFields } from '@aether/contract/json'
import {
  currentLinkTarget,
  digestOfReleaseName,
  releaseName,
  type VolumeLayout,
  workspaceNames,
} from '@aether/contract/layout'
import { syncFolder, writeFileAtomic } from '@aether/runtime/atomic-file'
import { toDiskError } from './disk-error.ts'
import type { Staged } from './extract.ts'
import { removeTree } from './remove-tree.ts'

const complete = Symbol('release')

/** A complete, verified release on disk. Made from a Staged, or found with its completion record. */
export interface Release {
  readonly digest: Digest
  /** Size of the artifact it came from. */
  readonly artifactBytes: number
  /** Size of its files. */
  readonly bytes: number
  readonly [complete]: true
}

/** The release of this digest where it is on disk with its completion record: existence of a folder alone is not trust. */
export async function findRelease(layout: VolumeLayout, digest: Digest): Promise<Release | undefined> {
  try {
    const record = parseFields(await readFile(recordPath(layout, digest), 'utf8'), 'completion record')
    if (record.text('digest') !== digest || !(await exists(releasePath(layout, digest)))) return undefined
    return { digest, artifactBytes: record.count('artifactBytes'), bytes: record.count('bytes'), [complete]: true }
  } catch {
    return undefined
  }
}

/** Steps 2 to 4. */
export async function installRelease(staged: Staged, layout: VolumeLayout): Promise<Release> {
  const { digest, files, bytes } = staged
  const artifactBytes = staged.held.bytes
  const path = releasePath(layout, digest)
  try {
    await mkdir(layout.releases, { recursive: true })
    await mkdir(layout.complete, { recursive: true })
    // A folder of that name has no record, or it would be in use; it goes before there is one.
    if (await exists(path)) await rename(path, join(layout.staging, `${releaseName(digest)}-${randomUUID()}`))
    await writeFileAtomic(recordPath(layout, digest), `${JSON.stringify({ digest, artifactBytes, files, bytes })}\n`) // 2
    await rename(staged.folder, path) // 3
    await syncFolder(layout.releases) // 4
    return { digest, artifactBytes, bytes, [complete]: true }
  } catch (error) {
    const reason = await toDiskError(error, layout.root)
    await removeTree(staged.folder)
    await rm(recordPath(layout, digest), { force: true })
    throw reason
  }
}

/** Steps 5 to 8. Answers the new activation; its id is one more than the last. */
export async function activate(
  release: Release,
  layout: VolumeLayout,
  commit: string | null,
  now: () => Date,
): Promise<Activation> {
  const last = await readActivation(layout)
  const activation: Activation = {
    id: (last?.id ?? 0) + 1,
    digest: release.digest,
    previous: await readCurrent(layout),
    at: now().toISOString(),
    commit,
  }
  const link = join(layout.workspace, `.current-${randomUUID()}`)
  try {
    await writeFileAtomic(join(layout.workspace, workspaceNames.activation), formatActivation(activation)) // 5
    await symlink(currentLinkTarget(release.digest), link) // 6
    await rename(link, join(layout.workspace, workspaceNames.current)) // 7
    await syncFolder(layout.workspace) // 8
    return activation
  } catch (error) {
    await rm(link, { force: true })
    throw await toDiskError(error, layout.root)
  }
}

/** The digest that `current` points to; null where there is none. */
export async function readCurrent(layout: VolumeLayout): Promise<Digest | null> {
  try {
    return digestOfReleaseName(basename(await readlink(join(layout.workspace, workspaceNames.current)))) ?? null
  } catch {
    return null
  }
}

/** The last activation; null before the first, or where the record is unreadable. */
export async function readActivation(layout: VolumeLayout): Promise<Activation | null> {
  try {
    return parseActivation(await readFile(join(layout.workspace, workspaceNames.activation), 'utf8'))
  } catch {
    return null
  }
}

export function releasePath(layout: VolumeLayout, digest: Digest): string {
  return join(layout.releases, releaseName(digest))
}

export function recordPath(layout: VolumeLayout, digest: Digest): string {
  return join(layout.complete, `${releaseName(digest)}.json`)
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
