// What every source of a tree is given.
import type { VolumeLayout } from '@aether/contract/layout'
import type { ReasonError } from '@aether/contract/reasons'
import type { Room } from './budget.ts'
import type { Download, Downloads } from './download.ts'
import type { TreeSource } from './refreshed.ts'
import type { Share } from './shares.ts'
import type { HeldTree } from './tree-memory.ts'
import type { TreeTotals } from './tree-plan.ts'
import type { UnpackLimits } from './unpack.ts'
import type { PresumedTarget } from './verify.ts'

export interface TreeContext {
  readonly presumed: PresumedTarget
  readonly layout: VolumeLayout
  readonly limits: UnpackLimits
  readonly room: Room
  readonly downloads: Downloads
  /** All that was opened, so that the bytes of the refresh can be told. */
  readonly opened: Download[]
  readonly refused: RefusedSource[]
}

/** A source that was given up, and why. */
export interface RefusedSource {
  readonly source: TreeSource
  readonly error: ReasonError
}

/** The release that serves, where it is a tree that is whole and held. */
export interface Base {
  readonly tree: HeldTree
  readonly totals: TreeTotals
  readonly share: Share
}

/** A file beside the artifact: the suffix goes to the path of its URL, the query stays. */
export function urlBeside(artifactUrl: string, suffix: string): string {
  const url = new URL(artifactUrl)
  url.pathname += suffix
  return url.href
}

export async function openBeside(
  { presumed, downloads, opened }: TreeContext,
  suffix: string,
  part?: Parameters<Downloads['open']>[1],
): Promise<Download> {
  const download = await downloads.open(urlBeside(presumed.target.artifactUrl, suffix), part)
  opened.push(download)
  return download
}

export function wireBytes({ opened }: TreeContext): number {
  return opened.reduce((sum, download) => sum + download.bytes(), 0)
}
