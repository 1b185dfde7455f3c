// Keeps the wanted release running: one loop that looks at what is wanted, what runs and whether it is to end.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Activation } from '@aether/contract/activation'
import { hexOf } from '@aether/contract/digest'
import { metrics } from '@aether/contract/metric-names'
import { isDetailOf, type ReasonError, toReasonError } from '@aether/contract/reasons'
import type { Readiness } from '@aether/runtime/health'
import type { Log } from '@aether/runtime/log'
import { createCounter, createHistogram, type Registry } from '@aether/runtime/metrics'
import type { Part } from '@aether/runtime/parts'
import { askApp } from './ask-app.ts'
import type { Child } from './child.ts'
import { createGate } from './drain.ts'
import { type SwapConfig, startNew, stopOld } from './recreate.ts'
import type { VerdictFile } from './verdict-file.ts'

export interface Supervision extends Part {
  /** The latest activation; one that comes while another is being started takes its place. */
  want(activation: Activation): void
  readiness(): Promise<Readiness>
}

const firstRestartMs = 100
const longestRestartMs = 10_000
/** A process that ran for this long starts the count of restarts anew. */
const steadyMs = 60_000
const probeMs = 1000

export function createSupervision(config: SwapConfig, verdict: VerdictFile, log: Log, registry: Registry): Supervision {
  const gate = createGate()
  const restarts = createCounter(registry, metrics.appRestartsTotal)
  const swapSeconds = createHistogram(registry, metrics.swapSeconds, [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30])
  const stopping = new AbortController()
  let superseded = new AbortController()
  let wanted: Activation | undefined
  let taken = 0
  let child: Child | undefined
  /** What is to be running; undefined while a swap decides it. */
  let kept: Activation | undefined
  let restartAt = Number.POSITIVE_INFINITY
  let quickRestarts = 0
  let startedAt = 0
  let wake = () => {}
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    await verdict.publish({ state: 'waiting' })
    while (!stopping.signal.aborted) {
      if (wanted !== undefined && wanted.id !== taken) await take(wanted)
      else if (kept !== undefined && child?.isAlive() !== true && performance.now() >= restartAt) await restart(kept)
      else await somethingHappens()
    }
    kept = undefined
    if (child === undefined) return
    await verdict.publish({ state: 'stopping' })
    // The endpoint goes because the pod is deleted, not because a probe failed: time is all there is to wait for.
    if (child.isAlive()) await sleep(config.drainMaxMs)
    await child.stop(config.graceMs)
  }

  function somethingHappens(): Promise<void> {
    return new Promise((resolve) => {
      const waitMs = restartAt - performance.now()
      const timer = Number.isFinite(waitMs) ? setTimeout(resolve, Math.max(0, waitMs)) : undefined
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Brings an activation to its verdict: it serves, or it was refused and the last good release serves again. */
  async function take(activation: Activation): Promise<void> {
    const began = performance.now()
    taken = activation.id
    superseded = new AbortController()
    if (await decided(activation)) return
    const signal = AbortSignal.any([superseded.signal, stopping.signal])
    await verdict.publish({
      activation: activation.id,
      state: child === undefined ? 'starting' : 'swapping',
      outcome: 'pending',
      reason: null,
      detail: null,
      message: null,
    })
    try {
      kept = undefined
      if (child !== undefined) await stopOld(child, gate, config, signal)
      child = undefined
      adopt(await startNew(activation, config, signal))
      await serves(activation)
      swapSeconds.observe({ strategy: 'recreate', outcome: 'ok' }, (performance.now() - began) / 1000)
    } catch (error) {
      if (signal.aborted)
        return log.info({ activation: activation.id }, 'a newer activation came, or the end: this one is left')
      swapSeconds.observe({ strategy: 'recreate', outcome: 'fail' }, (performance.now() - began) / 1000)
      await refuse(activation, toReasonError(error))
    }
  }

  /** The release runs already (it was taken back), or was refused before this process began. */
  async function decided(activation: Activation): Promise<boolean> {
    const { activation: last, outcome, lastGood } = verdict.state()
    if (child?.isAlive() && child.activation.digest === activation.digest && !activation.repaired) {
      await serves(activation)
      return true
    }
    if (child !== undefined || activation.id !== last || outcome !== 'fail' || lastGood === null) return false
    await comeBack(activation)
    return true
  }

  async function serves(activation: Activation): Promise<void> {
    const { digest } = activation
    gate.open()
    const refused = verdict.state().refused.filter((one) => one !== digest)
    await verdict.publish({
      activation: activation.id,
      digest,
      state: 'serving',
      outcome: 'ok',
      reason: null,
      detail: null,
      message: null,
      lastGood: digest,
      refused,
      inUse: [digest],
    })
    log.info({ activation: activation.id, digest, pid: child?.pid }, `release ${hexOf(digest).slice(0, 12)} serves`)
  }

  async function refuse(activation: Activation, error: ReasonError): Promise<void> {
    const { reason, detail, message } = error
    const { digest } = activation
    log.error({ activation: activation.id, digest, reason, detail, err: error }, message)
    const refused = [...verdict.state().refused.filter((one) => one !== digest), digest]
    await verdict.publish({
      activation: activation.id,
      digest,
      state: 'down',
      outcome: 'fail',
      reason: 'unhealthy',
      detail: isDetailOf('unhealthy', detail) ? detail : null,
      message,
      refused,
    })
    await comeBack(activation)
  }

  /** Starts the last good release, or where there is none yet tries the refused one again, with backoff. */
  async function comeBack(refused: Activation): Promise<void> {
    const { lastGood } = verdict.state()
    kept = lastGood === null ? refused : { ...refused, digest: lastGood, commit: null }
    if (lastGood === null) planRestart()
    else await restart(kept)
  }

  async function restart(activation: Activation): Promise<void> {
    restartAt = Number.POSITIVE_INFINITY
    const signal = AbortSignal.any([superseded.signal, stopping.signal])
    try {
      adopt(await startNew(activation, config, signal))
      gate.open()
      await verdict.publish({
        digest: activation.digest,
        state: 'serving',
        lastGood: activation.digest,
        inUse: [activation.digest],
      })
      log.info({ digest: activation.digest, pid: child?.pid }, 'the release serves again')
    } catch (error) {
      if (signal.aborted) return
      log.error({ digest: activation.digest, err: error }, 'the release did not start; it is tried again')
      planRestart()
    }
  }

  function adopt(started: Child): void {
    child = started
    kept = started.activation
    startedAt = performance.now()
    void started.exited.then((how) => {
      if (child !== started || kept === undefined || stopping.signal.aborted) return
      gate.close(`the app ended (${how})`)
      restarts.inc({})
      if (performance.now() - startedAt > steadyMs) quickRestarts = 0
      planRestart()
      log.error(
        { pid: started.pid, how, restartInMs: Math.round(restartAt - performance.now()) },
        'the app ended by itself',
      )
      void verdict.publish({ state: 'down' })
      wake()
    })
  }

  function planRestart(): void {
    restartAt = performance.now() + Math.min(longestRestartMs, firstRestartMs * 2 ** quickRestarts)
    quickRestarts++
  }

  return {
    name: 'supervision',
    want(activation) {
      if (stopping.signal.aborted) return
      wanted = activation
      // The fetcher's flip back to what is being started again anyway must not begin that start anew.
      if (kept?.digest !== activation.digest) superseded.abort()
      wake()
    },
    readiness: () => gate.readiness(() => askApp(config, probeMs)),
    start() {
      running = run().catch((error: unknown) => log.error({ err: error }, 'the supervision ended'))
    },
    async stop() {
      stopping.abort()
      gate.close('the pod is ending')
      wake()
      await running
    },
  }
}
