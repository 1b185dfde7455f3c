// The standby: a clone of the release that serves, made while nothing else is to be done, so that a refresh changes the few
// paths that differ and has the next release. It lies in `standby/` once it is whole, in `staging/` while it is being made
// or changed; there is one at most. Without one, the clone is made on the spot.

import { mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type { Digest } from '@aether/contract/digest'
import { releaseName, type VolumeLayout } from '@aether/contract/layout'
import { uniqueName } from '@aether/runtime/unique-name'
import { releasePath } from './activate.ts'
import { cloneTree, convertTree, type Placed } from './clone-tree.ts'
import { removeTree } from './remove-tree.ts'
import type { HeldTree } from './tree-memory.ts'

/** Being made, in staging. */
interface Making {
  readonly digest: Digest
  readonly folder: string
  readonly steps: Iterator<void>
  /** What was moved out of the way. */
  readonly away: string[]
}

interface Workshop {
  making: Making | undefined
  /** An old release, in staging, of which a standby can be made. */
  offered: Placed | undefined
}

const sliceMs = 4

const workshops = new WeakMap<VolumeLayout, Workshop>()

function workshopOf(layout: VolumeLayout): Workshop {
  const found = workshops.get(layout) ?? { making: undefined, offered: undefined }
  workshops.set(layout, found)
  return found
}

function standbyPath(layout: VolumeLayout, digest: Digest): string {
  return join(layout.standby, releaseName(digest))
}

/** A clone of the release in staging, which is the caller's from now on. */
export async function takeClone(layout: VolumeLayout, tree: HeldTree, signal: AbortSignal): Promise<string> {
  const folder = join(layout.staging, `${releaseName(tree.digest)}-${uniqueName()}`)
  try {
    renameSync(standbyPath(layout, tree.digest), folder)
    return folder
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  const workshop = workshopOf(layout)
  const { making } = workshop
  workshop.making = undefined
  if (making !== undefined && making.digest !== tree.digest) await abandon(making)
  const mine = making?.digest === tree.digest ? making : begin(layout, tree, folder)
  try {
    await run(mine, 0, signal)
  } catch (error) {
    await abandon(mine)
    throw error
  }
  return mine.folder
}

/** A clone that nothing was changed in becomes the standby again. */
export function returnClone(layout: VolumeLayout, tree: HeldTree, folder: string): void {
  mkdirSync(layout.standby, { recursive: true, mode: 0o775 })
  renameSync(folder, standbyPath(layout, tree.digest))
}

/** Makes the standby of a release that serves. Where `signal` ends it, it is gone on with later, or by who needs it. */
export async function prepareStandby(layout: VolumeLayout, tree: HeldTree, signal: AbortSignal): Promise<void> {
  const found = listStandby(layout)
  if (found.includes(releaseName(tree.digest))) return
  for (const other of found) await removeStandby(layout, other)
  mkdirSync(layout.standby, { recursive: true, mode: 0o775 })
  const workshop = workshopOf(layout)
  if (workshop.making !== undefined && workshop.making.digest !== tree.digest) {
    const { making } = workshop
    workshop.making = undefined
    await abandon(making)
  }
  workshop.making ??= begin(layout, tree, join(layout.staging, `${releaseName(tree.digest)}-${uniqueName()}`))
  const { making } = workshop
  await run(making, sliceMs, signal)
  workshop.making = undefined
  renameSync(making.folder, standbyPath(layout, tree.digest))
}

export function hasStandby(layout: VolumeLayout, digest: Digest): boolean {
  return listStandby(layout).includes(releaseName(digest))
}

/** An old release that was moved to staging: only what differs has to be touched to make a standby of it. */
export async function offerOld(layout: VolumeLayout, old: Placed): Promise<void> {
  const workshop = workshopOf(layout)
  const before = workshop.offered
  workshop.offered = old
  if (before !== undefined) await removeTree(before.folder)
}

/** Removes what there is of a standby, for the room or because what it is made of is not trusted. */
export async function dropStandby(layout: VolumeLayout): Promise<void> {
  const workshop = workshopOf(layout)
  const { making, offered } = workshop
  workshop.making = undefined
  workshop.offered = undefined
  if (making !== undefined) await abandon(making)
  if (offered !== undefined) await removeTree(offered.folder)
  for (const name of listStandby(layout)) await removeStandby(layout, name)
}

function listStandby(layout: VolumeLayout): readonly string[] {
  try {
    return readdirSync(layout.standby)
  } catch {
    return []
  }
}

async function removeStandby(layout: VolumeLayout, name: string): Promise<void> {
  const away = join(layout.staging, `away-${uniqueName()}`)
  renameSync(join(layout.standby, name), away)
  await removeTree(away)
}

function begin(layout: VolumeLayout, tree: HeldTree, folder: string): Making {
  const workshop = workshopOf(layout)
  const live = { tree, folder: releasePath(layout, tree.digest) }
  const { offered } = workshop
  workshop.offered = undefined
  const away: string[] = []
  if (offered === undefined) return { digest: tree.digest, folder, steps: cloneTree(live, folder), away }
  const aside = () => {
    const place = join(layout.staging, `away-${uniqueName()}`)
    away.push(place)
    return place
  }
  return { digest: tree.digest, folder: offered.folder, steps: convertTree(live, offered, aside), away }
}

/** With pauses as long as the work between them, where somebody else is to have the processor. */
async function run({ steps, away }: Making, pauseMs: number, signal: AbortSignal): Promise<void> {
  let sliceEnd = performance.now() + sliceMs
  while (steps.next().done !== true) {
    if (performance.now() < sliceEnd) continue
    await (pauseMs === 0 ? turn(undefined, { signal }) : sleep(pauseMs, undefined, { signal }))
    sliceEnd = performance.now() + sliceMs
  }
  for (let place = away.pop(); place !== undefined; place = away.pop()) await removeTree(place)
}

async function abandon({ folder, away }: Making): Promise<void> {
  for (const place of away) await removeTree(place)
  await removeTree(folder)
}
