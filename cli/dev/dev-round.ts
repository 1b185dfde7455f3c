// One pass from what was saved to what serves. What a pass could not bring stays pending, and the next one brings it.
//
//  1. copy what changed; where nothing did, there is nothing to do
//  2. build, and copy what the build made
//  3. install, where what decides about modules changed
//  4. pack and sign; the digest that runs already ends it here
//  5. upload, 6. deploy, 7. wait until it serves, or a newer save comes
import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf, Failure, toFailure } from '../basics/failure.ts'
import type { Output } from '../basics/output.ts'
import type { Env } from '../basics/settings.ts'
import { type Synced, settledMs } from '../release/sync-folder.ts'
import { type Burst } from './burst.ts'
import { runBuild } from './dev-build.ts'
import type { DevPlace, DevRelease } from './dev-place.ts'
import type { DevTree } from './dev-tree.ts'

export type Stage = 'copy' | 'build' | 'install' | 'pack' | 'upload' | 'deploy' | 'serving'

export interface DevReport {
  /** `unchanged`: the digest runs already. `waiting`: it is tried again by itself. */
  readonly outcome: 'serving' | 'failed' | 'unchanged' | 'superseded' | 'waiting'
  readonly changed: readonly string[]
  readonly digest: string | null
  /** In the order in which they were done. */
  readonly ms: ReadonlyMap<Stage, number>
  readonly stage: Stage
  readonly failure: Failure | null
  /** Digests that pods go on serving, where it failed. */
  readonly serving: readonly string[]
  /** Whether a source was saved while the build ran. */
  readonly again: boolean
}

export interface DevRound {
  /** Undefined where nothing changed. `isWhole`: modules that are taken as they are are looked into too. */
  run(isWhole: boolean): Promise<DevReport | undefined>
  readonly owesLook: () => boolean
  readonly served: () => string | undefined
}

export interface DevRoundOptions {
  readonly folder: string
  readonly tree: DevTree
  readonly place: DevPlace
  readonly build: string | undefined
  readonly burst: Burst
  readonly env: Env
  readonly output: Output
  readonly signal: AbortSignal
}

/** What is written without end is taken as it is. */
const mostLooks = 5

export function createDevRound(options: DevRoundOptions): DevRound {
  const { folder, tree, place, build, burst, env, output, signal } = options
  const pending = new Set<string>()
  // What a build writes, to tell it from a source that is saved while a build runs.
  const outputs = new Set<string>()
  let [hasBuilt, mustBuild, isBroken] = [false, build !== undefined, false]
  let [hasRun, delivered, served]: [boolean, string | undefined, string | undefined] = [false, undefined, undefined]

  return {
    served: () => served,
    owesLook: tree.owesLook,
    async run(isWhole) {
      const ms = new Map<Stage, number>()
      const now: { stage: Stage; digest: string | null; again: boolean } = { stage: 'copy', digest: null, again: false }
      const during = async <T>(name: Stage, step: () => Promise<T>): Promise<T> => {
        now.stage = name
        const started = performance.now()
        try {
          return await step()
        } finally {
          ms.set(name, (ms.get(name) ?? 0) + Math.round(performance.now() - started))
          signal.throwIfAborted()
        }
      }
      const report = (outcome: DevReport['outcome'], more: Partial<DevReport> = {}): DevReport => {
        const isOver =
          outcome !== 'waiting' && outcome !== 'superseded' && (outcome !== 'failed' || now.stage === 'serving')
        const changed = [...pending]
        if (isOver) pending.clear()
        return { ...now, outcome, changed, ms, failure: null, serving: [], ...more }
      }
      try {
        // 1
        const saved = await during('copy', () => syncSettled(isWhole))
        if (build !== undefined && saved.size > 0) mustBuild = true
        const needsInstall = await tree.needsInstall()
        if (isBroken && !mustBuild) return undefined
        if (hasRun && pending.size === 0 && !mustBuild && !needsInstall) return undefined
        // 2
        if (build !== undefined && mustBuild) {
          for (const path of saved) outputs.delete(path)
          const before = new Set(tree.paths())
          output.transient('building ...')
          const fault: unknown = await during('build', () =>
            runBuild(build, { folder, env, signal }).then(
              () => undefined,
              (error: unknown) => error,
            ),
          )
          // Of a build that failed too: what it wrote must not start it again.
          const made = await during('copy', () => sync(false))
          mustBuild = hasBuilt && made.touched.some((path) => before.has(path) && !outputs.has(path))
          now.again = mustBuild
          for (const path of [...made.touched, ...made.changed]) outputs.add(path)
          hasBuilt = true
          isBroken = fault !== undefined
          now.stage = 'build'
          if (isBroken) throw fault
        }
        await during('copy', tree.checkLinks)
        // 3
        if (await tree.needsInstall()) {
          if (hasRun) output.line('install    the dependencies changed')
          output.transient('installing the dependencies ...')
          await during('install', tree.install)
        }
        // 4
        output.transient('packing ...')
        const release = await during('pack', () => place.pack(tree))
        now.digest = release.digest
        if (release.digest === delivered) return report('unchanged')
        // 5
        await during('upload', release.upload)
        // 6
        await during('deploy', release.deploy)
        delivered = undefined
        hasRun = true
        // 7
        const isServing = await during('serving', () => waitOrChange(release))
        if (!isServing) return report('superseded')
        served = delivered = release.digest
        return report('serving')
      } catch (error) {
        output.transient('')
        signal.throwIfAborted()
        await refuseGone(folder)
        const failure = toFailure(error)
        if (failure.kind === 'network' || isFull(failure)) return report('waiting', { failure })
        // One that was stopped or moved by others has no code: it is to be brought again.
        if (now.stage === 'serving' && failure.code !== undefined) delivered = now.digest ?? undefined
        return report('failed', {
          failure,
          serving: now.stage === 'serving' ? [...new Set(await place.serving())] : [],
        })
      }
    },
  }

  /** False where a newer save came first; what a build wrote late is none. */
  async function waitOrChange(release: DevRelease): Promise<boolean> {
    for (;;) {
      const due = burst.due()
      try {
        await release.waitUntilServing(AbortSignal.any([signal, due]))
        return true
      } catch (error) {
        if (!due.aborted || signal.aborted) throw error
      }
      const { changed } = await sync(false)
      if (changed.length > 0 && build !== undefined) mustBuild = true
      for (const path of changed) outputs.delete(path)
      if (changed.length > 0 || (await tree.needsInstall())) return false
      burst.take()
    }
  }

  /** What changed. A save that is under way when the burst of others ends, such as of a build, is seen emptied: it is waited for. */
  async function syncSettled(isWhole: boolean): Promise<ReadonlySet<string>> {
    const changed = new Set<string>()
    for (let looks = 1; ; looks += 1) {
      const synced = await sync(isWhole)
      for (const path of synced.changed) changed.add(path)
      if (synced.isSettled || looks === mostLooks) return changed
      await sleep(settledMs, undefined, { signal })
    }
  }

  async function sync(isWhole: boolean): Promise<Synced> {
    const synced = await tree.sync(isWhole)
    for (const path of synced.changed) pending.add(path)
    return synced
  }
}

async function refuseGone(folder: string): Promise<void> {
  const found = await stat(folder).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error
  })
  if (found === undefined) throw new Failure('io', `${folder} is gone`, { next: 'start aether dev where it is now' })
}

function isFull({ code }: Failure): boolean {
  return code === 'ENOSPC' || code === 'EDQUOT'
}
