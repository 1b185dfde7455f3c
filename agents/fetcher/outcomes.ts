// From a delivery to its outcome: on disk, activated, judged by the supervisor, said once and remembered; or why not. When and how
// often is the loop's (loop.ts).
import { setTimeout as sleep } from 'node:timers/promises'
import type { Activation } from '@aether/contract/activation'
import type { FetcherState } from '@aether/contract/fetcher-state'
import { type ReasonError, toReasonError } from '@aether/contract/reasons'
import type { Target } from '@aether/contract/target'
import { activate, findRelease, readActivation, readCurrent } from '@aether/release/activate'
import { lockVolume, type VolumeLock } from '@aether/release/lock'
import { recoverVolume } from '@aether/release/recover'
import type { RefreshOptions } from '@aether/release/refresh'
import { type Refreshed, refreshedBefore } from '@aether/release/refreshed'
import { createDelivery, type Delivery } from './delivery.ts'
import type { Observer, Subject } from './observe.ts'
import type { Pace } from './pace.ts'
import { createPruning, type PruningOptions } from './pruning.ts'
import { type RelapseWatch, watchRelapse } from './relapse.ts'
import { loadState, saveState, servedTarget } from './state.ts'
import { awaitVerdict, readSupervisorState } from './verdict.ts'

export interface OutcomeOptions extends Omit<PruningOptions, 'layout'> {
  readonly refresh: RefreshOptions
  readonly observer: Observer
  readonly pace: Pace
  readonly verdictTimeoutMs: number
}

export interface Outcomes {
  /** The volume may be full, read-only or held by a process about to end: waited for, never died of. */
  prepare(): Promise<void>
  /** Answers what went wrong, or nothing: it serves, there was nothing to do, or `superseded` or the end came first. */
  attempt(delivery: Delivery, superseded: AbortSignal): Promise<ReasonError | undefined>
  /** Answers whether it is the pending target that drifted, which a retry brings again; any other is brought here, once. */
  sayDrift(drifted: ReasonError, pending: Delivery | undefined, superseded: AbortSignal): Promise<boolean>
  /** Aborts when what serves was refused after all; undefined where nobody would say so. */
  relapsed(): AbortSignal | undefined
  /** Goes back where that has come. `delivery` is the last one; nothing that was asked for is lost by it. */
  fallBack(delivery: Delivery | undefined): Promise<void>
  /** In a row. */
  failures(): number
  close(): Promise<void>
}

const volumePauseMs = 5000
const maxFailureMessage = 1000

export function createOutcomes(options: OutcomeOptions, end: AbortSignal): Outcomes {
  const { observer, log, pace, refresh: refreshOptions } = options
  const { layout } = refreshOptions
  const { inUse, prune } = createPruning({ ...options, layout })
  let lock: VolumeLock | undefined
  let state: FetcherState
  /** Over the release that serves, where there is a supervisor. */
  let watched: RelapseWatch | undefined
  /** The annotations of the release before it; none after a restart. */
  let servedBefore: FetcherState['served'] = {}

  async function prepare(): Promise<void> {
    state = (await loadState(layout.state)).state
    for (let failures = 1; !end.aborted; failures++) {
      try {
        lock ??= await lockVolume(layout)
        const lost = await recoverVolume(layout)
        const { state: loaded, fault } = await loadState(layout.state)
        if (fault !== undefined) log.warn({ err: fault }, 'state.json cannot be read; a fresh one is begun')
        state = loaded
        observer.state(state)
        const activation = await readActivation(layout)
        if (lost !== undefined) await failed(lost, activation ?? undefined, { at: performance.now() })
        else if (activation !== null && activation.id <= state.reported) {
          observer.resumed(state)
          if (activation.digest === state.lastDigest) watch(activation)
        }
        await prune() // a kill may have come before it
        return
      } catch (error) {
        observer.fail(toReasonError(error), undefined, 0, state)
        observer.state(state)
        await sleep(Math.min(volumePauseMs, 500 * failures), undefined, { signal: end }).catch(() => undefined)
      }
    }
  }

  async function sayDrift(drifted: ReasonError, pending: Delivery | undefined, superseded: AbortSignal) {
    const live = await readCurrent(layout)
    const served = createDelivery(state.served, performance.now())
    await failed(drifted, live === null ? undefined : { digest: live }, served)
    if (live === null || pending?.asked?.digest === live) return live !== null
    const { refused } = state
    if (served.asked?.digest === live) await attempt(served, superseded)
    else log.error({ digest: live }, 'no annotations ask for this release any more, so it cannot be fetched again')
    if (refused === null || refused.digest === live) return false
    // What is asked for did not come up, and that stays so.
    await remember({ ...state, refused })
    observer.resumed(state)
    return false
  }

  async function attempt(delivery: Delivery, superseded: AbortSignal): Promise<ReasonError | undefined> {
    const { asked, fault } = delivery
    if (fault !== undefined) return failed(fault, undefined, delivery)
    let about: Subject | undefined = asked
    const signal = AbortSignal.any([end, superseded])
    try {
      const refreshed = asked === undefined ? await findUnsaid() : await bringToDisk(asked, delivery, signal)
      if (refreshed === undefined) return undefined
      about ??= refreshed.activation
      const activatedAt = performance.now()
      const refused = await verdictOn(refreshed.activation, signal)
      if (refused !== undefined) return await takeBack(refused, refreshed.activation, about, delivery)
      const swapMs = options.supervised ? performance.now() - activatedAt : undefined
      await succeeded(refreshed, delivery, swapMs)
      return undefined
    } catch (error) {
      if (signal.aborted && !isTyped(error)) {
        log.info({ digest: about?.digest }, 'a newer target came, or the end: this one is left')
        return undefined
      }
      return failed(toReasonError(error), about, delivery)
    }
  }

  /** Where no target is asked for: what init-fetch activated, by control's word, is kept, and its outcome is said once too. */
  async function findUnsaid(): Promise<Refreshed | undefined> {
    const [activation, current] = await Promise.all([readActivation(layout), readCurrent(layout)])
    const isUnsaid = activation !== null && activation.id > state.reported && activation.digest === current
    return isUnsaid ? refreshedBefore(activation) : undefined
  }

  async function bringToDisk(target: Target, delivery: Delivery, signal: AbortSignal): Promise<Refreshed | undefined> {
    const [activation, current] = await Promise.all([readActivation(layout), readCurrent(layout)])
    const isActive = activation !== null && current === target.digest && activation.digest === target.digest
    // One that drifted is brought again; one that was put right is still to be activated anew.
    if (isActive && (await findRelease(layout, target.digest))?.isMended === false) {
      if (activation.id <= state.reported) {
        log.debug({ digest: target.digest }, 'already serving')
        // Not where it is active only because it did not come up and there was nothing to go back to.
        if (state.lastDigest !== target.digest) return undefined
        observer.noop(target.digest)
        // Whoever asks for the refused one after this has written its annotations again, be they the same.
        const { refused } = state
        if (refused !== null && refused.key !== '') await remember({ ...state, refused: { ...refused, key: '' } })
        return undefined
      }
      // Activated by init-fetch, or by a run that ended before it could say so.
      return refreshedBefore(activation)
    }
    if (state.refused?.digest === target.digest && state.refused.key === delivery.key) {
      log.info(
        { digest: target.digest },
        'this release did not come up; it is tried again when its annotations are written again',
      )
      return undefined
    }
    log.info({ digest: target.digest, commit: target.commit }, 'refreshing')
    // Both loaded with the first refresh: an idle agent does not pay for them. From here on V8 collects what a refresh leaves before
    // the next adds to it (peak memory 116 -> 95 MB); from the start it would refuse Node's own code cache, and start slower. And a
    // young generation of 1 MB is collected by one thread: to wait for others takes longer than what they would do of it.
    const { setFlagsFromString } = await import('node:v8')
    for (const flag of ['--optimize-for-size', '--no-parallel-scavenge']) setFlagsFromString(flag)
    const { refresh } = await import('@aether/release/refresh')
    const refreshed = await refresh(target, { ...refreshOptions, inUse }, signal, servedTarget(state))
    for (const warning of refreshed.warnings) log.warn({ digest: target.digest }, warning)
    return refreshed
  }

  async function verdictOn(activation: Activation, signal: AbortSignal): Promise<ReasonError | undefined> {
    if (!options.supervised) return undefined
    return awaitVerdict(activation, options.runDir, options.verdictTimeoutMs, signal)
  }

  async function succeeded(refreshed: Refreshed, delivery: Delivery, swapMs: number | undefined): Promise<void> {
    const { id, digest } = refreshed.activation
    pace.activated(performance.now())
    if (state.lastDigest !== digest) servedBefore = state.served
    watch(refreshed.activation)
    const next = {
      failures: 0,
      reported: id,
      lastDigest: digest,
      served: delivery.annotations,
      refused: null,
      failed: null,
    }
    observer.ok({ ...refreshed, ms: performance.now() - delivery.at, swapMs }, next)
    await remember(next)
    await prune()
  }

  /** The release did not come up: `current` goes back to the last good one, and the digest waits for new annotations. */
  async function takeBack(
    refused: ReasonError,
    activation: Activation,
    about: Subject,
    delivery: Delivery,
  ): Promise<ReasonError> {
    // No verdict is none against the release either: it is waited for again.
    if (refused.reason === 'timeout') return failed(refused, about, delivery)
    // Before `current` goes back, which is the supervisor's next activation.
    const said = await readSupervisorState(options.runDir)
    const output = said?.activation === activation.id ? said.output : null
    // What init-fetch activated may not have been judged yet when this release came; and what served may have relapsed.
    const before = activation.previous === state.refused?.digest ? null : activation.previous
    const isRelapse = state.lastDigest === activation.digest
    const last = isRelapse ? before : (state.lastDigest ?? before)
    const good = last === null ? undefined : await findRelease(layout, last)
    let reported = activation.id
    if (good !== undefined && good.digest !== activation.digest) {
      const back = await activate(good, layout, servedTarget(state)?.commit ?? null, () => new Date())
      if (state.lastDigest !== null) reported = back.id
    }
    const changes = {
      reported,
      refused: { digest: activation.digest, key: delivery.key },
      ...(isRelapse && good !== undefined && { lastDigest: good.digest, served: servedBefore }),
    }
    return failed(refused, about, delivery, changes, output)
  }

  function watch(activation: Activation): void {
    watched?.close()
    watched = options.supervised ? watchRelapse(activation, options.runDir) : undefined
  }

  async function fallBack(delivery: Delivery | undefined): Promise<void> {
    const relapse = watched?.relapse()
    if (relapse === undefined) return
    watched = undefined
    const { activation, refused } = relapse
    const key = delivery?.asked?.digest === activation.digest ? delivery.key : ''
    const from = { asked: undefined, fault: undefined, annotations: {}, key, at: performance.now() }
    try {
      if ((await readActivation(layout))?.id === activation.id) await takeBack(refused, activation, activation, from)
    } catch (error) {
      log.error({ err: error }, 'the release before cannot be activated again')
    }
  }

  async function failed(
    error: ReasonError,
    about: Subject | undefined,
    delivery: Pick<Delivery, 'at'>,
    changes: Partial<FetcherState> = {},
    output: string | null = null,
  ): Promise<ReasonError> {
    const { reason, detail } = error
    const message = error.message.slice(0, maxFailureMessage)
    const said = { digest: about?.digest ?? null, reason, detail, message, output }
    const next = { ...state, ...changes, failures: state.failures + 1, failed: said }
    observer.fail(error, about, performance.now() - delivery.at, next)
    await remember(next)
    if (pace.isAnomaly(state.failures)) observer.anomaly(state)
    return error
  }

  /** After the marker: a kill between the two has the outcome said twice, and never not at all. */
  async function remember(next: FetcherState): Promise<void> {
    state = next
    await saveState(layout.state, next).catch((error: unknown) =>
      log.warn({ err: error }, 'state.json cannot be written'),
    )
    observer.state(state)
  }

  return {
    prepare,
    attempt,
    sayDrift,
    relapsed: () => watched?.signal,
    fallBack,
    failures: () => state.failures,
    async close() {
      watched?.close()
      await lock?.release()
    },
  }
}

/** A typed failure counts even when a newer delivery came in the same moment. */
function isTyped(error: unknown): boolean {
  return toReasonError(error).reason !== 'internal'
}
