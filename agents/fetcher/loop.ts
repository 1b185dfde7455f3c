// The refresh loop: takes the latest delivery, brings it to an outcome (outcomes.ts), and begins again, at its pace. A delivery
// that comes meanwhile ends what is under way: the latest wins.
import { toReasonError } from '@aether/contract/reasons'
import type { Part } from '@aether/runtime/parts'
import type { Delivery } from './delivery.ts'
import type { Mailbox } from './mailbox.ts'
import { createOutcomes, type OutcomeOptions } from './outcomes.ts'
import { takeWatching, type Upkeep } from './upkeep.ts'

export interface LoopOptions extends OutcomeOptions {
  readonly mailbox: Mailbox<Delivery>
  /** Of the release that serves. */
  readonly upkeep: Upkeep
}

export function createLoop(options: LoopOptions): Part {
  const { mailbox, log, pace, upkeep } = options
  const stop = new AbortController()
  const outcomes = createOutcomes(options, stop.signal)
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    await outcomes.prepare()
    let pending: Delivery | undefined
    let tries = 0
    let isDeferred = false
    let waitMs = Number.POSITIVE_INFINITY
    while (!stop.signal.aborted) {
      const until = performance.now() + waitMs
      const signal = AbortSignal.any([stop.signal, outcomes.relapsed()].filter((one) => one !== undefined))
      const { taken, drifted } = await takeWatching(mailbox, waitMs, upkeep, signal)
      if (stop.signal.aborted) return
      await outcomes.fallBack(taken ?? pending)
      if (drifted !== undefined) {
        const isPending = await outcomes.sayDrift(drifted, pending, mailbox.arrival())
        if (isPending) tries = 1
        waitMs = isPending ? pace.retryMs(drifted, tries, outcomes.failures()) : Math.max(0, until - performance.now())
        continue
      }
      if (taken !== undefined) tries = 0
      else if (pending !== undefined && !isDeferred) pending = { ...pending, at: performance.now() } // timed from here
      pending = taken ?? pending
      // Too soon after the last activation: it waits, and what comes meanwhile takes its place.
      waitMs = pending === undefined ? Number.POSITIVE_INFINITY : pace.restMs(performance.now())
      isDeferred = waitMs > 0
      if (pending === undefined || isDeferred) continue
      const failure = await outcomes.attempt(pending, mailbox.arrival()).catch(toReasonError)
      tries = failure === undefined ? 0 : tries + 1
      waitMs = failure === undefined ? Number.POSITIVE_INFINITY : pace.retryMs(failure, tries, outcomes.failures())
    }
  }

  return {
    name: 'refresh loop',
    start() {
      running = run().catch((error: unknown) => log.error({ err: error }, 'the refresh loop ended'))
    },
    async stop() {
      stop.abort()
      await running
      await outcomes.close()
    },
  }
}
