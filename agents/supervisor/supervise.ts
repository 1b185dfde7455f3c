// Keeps the wanted release running: one loop that looks at what is wanted, what runs and whether it is to end. How one
// process gives way to the next is the strategy's.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Activation } from '@aether/contract/activation'
import { type Digest, hexOf } from '@aether/contract/digest'
import { metrics } from '@aether/contract/metric-names'
import { type ReasonError, reasons, refusal, toReasonError } from '@aether/contract/reasons'
import type { SwapTimes } from '@aether/contract/supervisor-state'
import type { Readiness } from '@aether/runtime/health'
import type { Log } from '@aether/runtime/log'
import { createCounter, createHistogram, type Registry } from '@aether/runtime/metrics'
import type { Part } from '@aether/runtime/parts'
import { askApp } from './ask-app.ts'
import type { Child } from './child.ts'
import type { SupervisorConfig } from './config.ts'
import { createGate } from './drain.ts'
import { createHeldSockets, isSame } from './held-sockets.ts'
import { lastWordsOf, withWords } from './last-words.ts'
import { createOverlap } from './overlap.ts'
import { createProbation } from './probation.ts'
import { isRefused, nowServes, servesAgain, takenUp } from './records.ts'
import { createRecreate } from './recreate.ts'
import { createBackoff } from './restart-backoff.ts'
import { createRetire } from './retire.ts'
import { createRetirees } from './retirees.ts'
import { createSpare } from './spare.ts'
import { createStarter } from './start.ts'
import type { Swapped } from './strategy.ts'
import { sayFirstAnswer, swapTimes } from './swap-times.ts'
import type { VerdictFile } from './verdict-file.ts'

export interface Supervision extends Part {
  /** The latest activation; one that comes while another is being started takes its place. */
  want(activation: Activation): void
  readiness(): Promise<Readiness>
}

const probeMs = 1000
/** At the end of the pod, where no load balancer sends anything any more. */
const quietAtEndMs = 500

export function createSupervision(
  config: SupervisorConfig,
  verdict: VerdictFile,
  log: Log,
  registry: Registry,
): Supervision {
  const gate = createGate()
  const sockets = createHeldSockets()
  const retire = createRetire(config, log, registry)
  const spare = createSpare(sockets, config, log, registry)
  const starter = createStarter(sockets, spare, config)
  const recreate = createRecreate(gate, retire, starter, config)
  const swap = config.strategy === 'overlap' ? createOverlap(recreate, retire, starter, sockets, config, log) : recreate
  const probation = createProbation(config.probationMs)
  const backoff = createBackoff()
  const retirees = createRetirees()
  const restarts = createCounter(registry, metrics.appRestartsTotal)
  const rollbacks = createCounter(registry, metrics.rollbacksTotal)
  // Shown from the start, so that a rate over their first increase is seen.
  for (const detail of reasons.unhealthy.details) rollbacks.inc({ reason: detail }, 0)
  const swapSeconds = createHistogram(registry, metrics.swapSeconds, [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30])
  /** What the run before this one left. */
  const { activation: leftAt, outcome: leftWith, state: leftIn } = verdict.state()
  const stopping = new AbortController()
  let superseded = new AbortController()
  let wanted: Activation | undefined
  let taken = 0
  let child: Child | undefined
  /** What is to be running; undefined while a swap decides it. */
  let kept: Activation | undefined
  /** What is to serve instead of a release that ends again and again. */
  let takenBackTo: Digest | undefined
  let wake = () => {}
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    await verdict.publish({ state: 'waiting' })
    while (!stopping.signal.aborted) {
      if (wanted !== undefined && wanted.id !== taken) await take(wanted)
      else if (kept !== undefined && takenBackTo !== undefined) await takeBack(kept, takenBackTo)
      else if (kept !== undefined && child?.isAlive() !== true && backoff.isDue()) await restart(kept)
      else await somethingHappens()
    }
    await end()
  }

  /** Also out of a swap: what was being started is gone by then. */
  async function end(): Promise<void> {
    kept = undefined
    const all = [spare.stop(), retirees.allEnded()]
    if (child !== undefined) {
      await verdict.publish({ state: 'stopping' })
      if (child.isAlive()) {
        child.link.order({ do: 'lame' })
        // The endpoint goes because the pod is deleted, not because a probe failed: time is all there is to wait for.
        await sleep(config.drainMaxMs)
      }
      sockets.drop(() => false)
      all.push(retire(child, undefined, quietAtEndMs))
    }
    await Promise.all(all)
  }

  function somethingHappens(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, backoff.leftMs())
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Brings an activation to its verdict: it serves, or it was refused and the last good release serves on, or again. */
  async function take(activation: Activation): Promise<void> {
    const began = performance.now()
    taken = activation.id
    takenBackTo = undefined
    superseded = new AbortController()
    if (await decided(activation)) return
    const signal = AbortSignal.any([superseded.signal, stopping.signal])
    const servedBefore = verdict.state().activation === activation.id && verdict.state().outcome === 'ok'
    // Written while the new process starts: what comes later is written after it.
    void verdict.publish({ ...takenUp(activation, child === undefined), inUse: inUse(activation.digest) })
    const measure = (strategy: string, outcome: 'ok' | 'fail') =>
      swapSeconds.observe({ strategy, outcome }, (performance.now() - began) / 1000)
    try {
      if (!servedBefore) await starter.prepare(activation, signal)
      kept = undefined
      const { strategy, ...swapped } = await replace(activation, signal)
      adopt(swapped)
      measure(strategy, 'ok')
      await serves(activation, swapTimes(swapped.child, began))
      void sayFirstAnswer(swapped.child, began, verdict)
    } catch (error) {
      if (signal.aborted) {
        kept = child?.activation
        return log.info({ activation: activation.id }, 'a newer activation came, or the end: this one is left')
      }
      measure(config.strategy, 'fail')
      await refuse(activation, toReasonError(error))
    }
  }

  async function replace(activation: Activation, signal: AbortSignal): Promise<Swapped> {
    if (child !== undefined) return swap(child, activation, signal)
    const started = await starter.alone(activation, signal)
    return { strategy: config.strategy, child: started, retiring: undefined }
  }

  /** The release runs already (it was taken back), or was refused before this process began. */
  async function decided(activation: Activation): Promise<boolean> {
    const { lastGood } = verdict.state()
    if (child?.isAlive() && child.activation.digest === activation.digest && !activation.repaired) {
      await serves(activation, null)
      return true
    }
    if (child !== undefined || activation.id !== leftAt || lastGood === null) return false
    if (leftWith === 'fail') await comeBack(activation)
    // Killed from outside, as a container out of memory is: what it was starting then is not started again.
    else if (leftWith === 'pending' && leftIn !== 'stopping' && lastGood !== activation.digest)
      await refuse(
        activation,
        refusal('unhealthy', 'start', 'the container ended while this release was being started'),
      )
    else return false
    return true
  }

  async function serves(activation: Activation, times: SwapTimes | null): Promise<void> {
    const { digest } = activation
    gate.open()
    const { lastGood, refused } = verdict.state()
    probation.begin(lastGood, digest)
    await verdict.publish({ ...nowServes(activation, refused, times), inUse: inUse() })
    const { compileCache } = child?.link.facts() ?? {}
    log.info(
      { activation: activation.id, digest, pid: child?.pid, compileCache },
      `release ${hexOf(digest).slice(0, 12)} serves`,
    )
  }

  async function refuse(activation: Activation, error: ReasonError): Promise<void> {
    const { reason, detail, message } = error
    const { digest } = activation
    const output = lastWordsOf(error)
    log.error({ activation: activation.id, digest, reason, detail, output, err: error }, message)
    rollbacks.inc({ reason: detail })
    const serving = child?.isAlive() ? child.activation : undefined
    const record = isRefused(activation, error, output, verdict.state().refused, serving?.digest)
    await verdict.publish({ ...record, inUse: inUse() })
    if (serving !== undefined) kept = serving
    else await comeBack(activation)
  }

  /** A release that served and then ended again and again. */
  async function takeBack(activation: Activation, to: Digest): Promise<void> {
    takenBackTo = undefined
    await verdict.publish({ lastGood: to })
    const message = 'the app ended by itself again and again soon after the swap: the release before it serves again'
    await refuse({ ...activation, id: taken }, withWords(refusal('unhealthy', 'crashed', message), child?.lastWords))
  }

  /** Starts the last good release, or where there is none yet tries the refused one again, with backoff. */
  async function comeBack(refused: Activation): Promise<void> {
    const { lastGood } = verdict.state()
    kept = lastGood === null ? refused : { ...refused, digest: lastGood, commit: null }
    if (lastGood === null) backoff.plan()
    else await restart(kept)
  }

  async function restart(activation: Activation): Promise<void> {
    backoff.begin()
    const signal = AbortSignal.any([superseded.signal, stopping.signal])
    try {
      adopt({ child: await starter.alone(activation, signal), retiring: undefined })
      gate.open()
      await verdict.publish({ ...servesAgain(activation), inUse: inUse() })
      log.info({ digest: activation.digest, pid: child?.pid }, 'the release serves again')
    } catch (error) {
      if (signal.aborted) return
      const output = lastWordsOf(toReasonError(error))
      log.error({ digest: activation.digest, output, err: error }, 'the release did not start; it is tried again')
      takenBackTo = probation.ended(activation.digest)
      backoff.plan()
    }
  }

  function adopt(swapped: Pick<Swapped, 'child' | 'retiring'>): void {
    const started = swapped.child
    const before = child
    child = started
    kept = started.activation
    backoff.started()
    spare.renew(started)
    if (before !== undefined && swapped.retiring !== undefined) retirees.add(before, swapped.retiring, oneRetired)
    void started.exited.then((how) => {
      if (child !== started || kept === undefined || stopping.signal.aborted) return
      gate.close(`the app ended (${how})`)
      restarts.inc({})
      takenBackTo = probation.ended(started.activation.digest)
      backoff.plan()
      const { pid, lastWords } = started
      log.error({ pid, how, output: lastWords.text(), restartInMs: backoff.leftMs() }, 'the app ended by itself')
      void verdict.publish({ state: 'down', output: lastWords.text() })
      wake()
    })
  }

  function oneRetired(isLast: boolean): void {
    if (stopping.signal.aborted) return
    if (isLast) {
      // A port that the release does not listen on any more must not look as if somebody answered there.
      const listening = child?.link.facts().listening ?? []
      sockets.drop((key) => listening.some((one) => isSame(one, key)))
      child?.link.order({ do: 'forget' })
      spare.renew(child)
    }
    void verdict.publish({ inUse: inUse() })
  }

  function inUse(...more: readonly Digest[]): readonly Digest[] {
    const serving = child?.isAlive() ? [child.activation.digest] : []
    return [...new Set([...serving, ...retirees.digests(), ...more])]
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
    // A connection to a held socket is no sign of life: it would wait in the backlog.
    readiness: () =>
      gate.readiness(async () => {
        if (config.port === 0) return child?.isAlive() === true
        const kind = child?.link.facts().listening.find((one) => one.port === config.port)?.kind ?? 'http'
        return child?.isAlive() === true && (await askApp({ ...config, kind }, probeMs))
      }),
    start() {
      log.info({ app: config.app, workspace: config.workspaceDir }, 'waiting for a release')
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
