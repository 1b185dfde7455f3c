// The standby: a clone of the release that serves, made while nothing else is to be done, so that a refresh changes the few
// paths that differ and has the next release. It lies in `standby/` once it is whole, in `staging/` while it is being made
// or changed; there is one at most. Without one, the clone is made on the spot.
import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { Digest } from '@aether/contract/digest'
import { releaseName, type VolumeLayout } from '@aether/contract/layout'
import { releasePath } from './activate.ts'
import { cloneTree } from './clone-tree.ts'
import { removeTree } from './remove-tree.ts'
import type { HeldTree } from './tree-memory.ts'

/** Being made, in staging. */
interface Making {
  readonly digest: Digest
  readonly folder: string
  readonly steps: Iterator<void>
}

const sliceMs = 4

const makingBy = new WeakMap<VolumeLayout, Making>()

function standbyPath(layout: VolumeLayout, digest: Digest): string {
  return join(layout.standby, releaseName(digest))
}

/** A clone of the release in staging, which is the caller's from now on. */
export async function takeClone(layout: VolumeLayout, tree: HeldTree, signal: AbortSignal): Promise<string> {
  const folder = join(layout.staging, `${releaseName(tree.digest)}-${randomUUID()}`)
  try {
    renameSync(standbyPath(layout, tree.digest), folder)
    return folder
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  const making = makingBy.get(layout)
  makingBy.delete(layout)
  if (making !== undefined && making.digest !== tree.digest) await removeTree(making.folder)
  const mine = making?.digest === tree.digest ? making : begin(layout, tree, folder)
  try {
    await run(mine, signal)
  } catch (error) {
    await removeTree(mine.folder)
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
  const name = releaseName(tree.digest)
  mkdirSync(layout.standby, { recursive: true, mode: 0o775 })
  const found = readdirSync(layout.standby)
  if (found.includes(name)) return
  for (const other of found) await removeStandby(layout, other)
  let making = makingBy.get(layout)
  if (making !== undefined && making.digest !== tree.digest) {
    makingBy.delete(layout)
    await removeTree(making.folder)
    making = undefined
  }
  making ??= begin(layout, tree, join(layout.staging, `${name}-${randomUUID()}`))
  makingBy.set(layout, making)
  await run(making, signal)
  makingBy.delete(layout)
  renameSync(making.folder, standbyPath(layout, tree.digest))
}

/** Removes what there is of a standby. */
export async function dropStandby(layout: VolumeLayout): Promise<void> {
  const making = makingBy.get(layout)
  makingBy.delete(layout)
  if (making !== undefined) await removeTree(making.folder)
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
  const away = join(layout.staging, `away-${randomUUID()}`)
  renameSync(join(layout.standby, name), away)
  await removeTree(away)
}

function begin(layout: VolumeLayout, tree: HeldTree, folder: string): Making {
  return { digest: tree.digest, folder, steps: cloneTree(tree, releasePath(layout, tree.digest), folder) }
}

async function run({ steps }: Making, signal: AbortSignal): Promise<void> {
  let sliceEnd = performance.now() + sliceMs
  while (steps.next().done !== true) {
    if (performance.now() < sliceEnd) continue
    await turn(undefined, { signal })
    sliceEnd = performance.now() + sliceMs
  }
}
