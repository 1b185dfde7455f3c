// Stages 2 and 3: the artifact comes and becomes a release. Its first bytes say whether it is an archive, fetched and
// extracted in one pass, or a tree, of which only what is lacking comes (bring-tree.ts).
import { isTree } from '@aether/artifact/tree-object'
import type { Target } from '@aether/contract/target'
import { installRelease, type Release, readCurrent } from './activate.ts'
import { openRoom } from './budget.ts'
import { openDownloads } from './download.ts'
import { extractArtifact } from './extract.ts'
import { fetchArtifact } from './fetch.ts'
import { readRecord } from './record.ts'
import type { RefreshOptions } from './refresh.ts'
import type { Brought } from './refreshed.ts'
import type { RefusedSource } from './tree-context.ts'
import type { PresumedTarget } from './verify.ts'

export interface Bringing extends Brought {
  readonly release: Release
  readonly warnings: readonly string[]
  /** Milliseconds from the first bytes on; 0 of what came as a delta or was there. */
  readonly extractMs: number
}

const treeMagicBytes = 14

const nothingReused = { reusedFiles: 0, reusedBytes: 0 }

export function onDisk(release: Release): Bringing {
  const { artifactBytes: bytes } = release
  return { release, source: 'reused', bytes, ...nothingReused, refusedSources: [], warnings: [], extractMs: 0 }
}

/** Throws a ReasonError; then staging is clean. `before` is the target served until now. */
export async function bringRelease(
  presumed: PresumedTarget,
  { layout, sources, limits, inUse, authorize }: RefreshOptions,
  signal: AbortSignal,
  before: Target | undefined,
): Promise<Bringing> {
  const room = await openRoom(layout, limits, (await inUse?.()) ?? [])
  const downloads = openDownloads({ ...limits, sources, authorize }, signal, presumed.confirm)
  const refused: RefusedSource[] = []
  let beganAt: number | undefined
  let isWell = false
  const context = { presumed, layout, limits, room, downloads, opened: [], refused }
  try {
    const staged = (await tryDelta()) ?? (await bringWhole())
    const release = await installRelease(staged, layout)
    isWell = refused.length === 0
    const refusedSources = refused.map(({ source }) => source)
    const warnings = refused.map(({ source, error }) => `the source ${source} was given up: ${error.message}`)
    const extractMs = beganAt === undefined ? 0 : performance.now() - beganAt
    const common = { release, refusedSources, warnings, extractMs }
    if (staged.kind === 'archive') return { ...common, source: 'archive', bytes: staged.held.bytes, ...nothingReused }
    const { source, wireBytes: bytes, reusedFiles, reusedBytes } = staged
    return { ...common, source, bytes, reusedFiles, reusedBytes }
  } finally {
    downloads.close(isWell)
  }

  async function tryDelta() {
    const live = await readCurrent(layout)
    if (live === null || (await readRecord(layout, live))?.tree === null) return undefined
    const trees = await import('./bring-tree.ts')
    return trees.tryDelta(context)
  }
  async function bringWhole() {
    const stream = await fetchArtifact(presumed, downloads, before)
    beganAt = performance.now()
    if (!isTree(await stream.first(treeMagicBytes)))
      return extractArtifact(stream, presumed.target.digest, layout, limits, room)
    const trees = await import('./bring-tree.ts')
    return trees.bringTree(stream, context)
  }
}
