// Tells control what became of each target (contract/control-api.ts, Outcome). Never in the way of a refresh: it has a
// loop of its own, which holds the newest outcome only and sends one request at a time.
import { agentPaths, formatOutcome, type Outcome } from '@aether/contract/control-api'
import { metrics } from '@aether/contract/metric-names'
import type { ControlAnswer, ControlClient } from '@aether/runtime/control-client'
import type { Log } from '@aether/runtime/log'
import { createCounter, type Registry } from '@aether/runtime/metrics'
import type { Part } from '@aether/runtime/parts'
import { createMailbox, type Mailbox } from './mailbox.ts'
import type { Observer } from './observe.ts'

export type OutcomeBox = Mailbox<Outcome>

const firstPauseMs = 500
const longestPauseMs = 30_000
const answerMs = 10_000
const maxMessage = 1000

/** A second report of the same is no repetition: what control was told last counts. */
export function createOutcomeBox(): OutcomeBox {
  return createMailbox<Outcome>(() => false)
}

/** The observer, which puts each outcome that it is told of into the box; `isDevelopment` with the app's own words. */
export function recordOutcomes(observer: Observer, box: OutcomeBox, isDevelopment: boolean): Observer {
  return {
    ...observer,
    ok(settled, state) {
      observer.ok(settled, state)
      const { digest } = settled.activation
      box.put({ ...nothing, digest, outcome: 'ok', serving: digest, ms: Math.round(settled.ms) })
    },
    fail(error, about, ms, state) {
      observer.fail(error, about, ms, state)
      // Where no digest was asked for, there is no outcome of one.
      if (about === undefined) return
      const { reason, detail, message } = error
      const said = { reason, detail, message: message.slice(0, maxMessage), ms: Math.round(ms) }
      const output = isDevelopment ? (state.failed?.output ?? null) : null
      const words = output === null ? {} : { output }
      box.put({ digest: about.digest, outcome: 'fail', serving: state.lastDigest, ...said, ...words })
    },
    noop(digest) {
      observer.noop(digest)
      box.put({ ...nothing, digest, outcome: 'ok', serving: digest })
    },
    resumed(state) {
      observer.resumed(state)
      const { lastDigest, refused } = state
      // A release that was taken back is still what was asked for last, and must not be forgotten over a restart.
      if (refused !== null)
        box.put({ ...nothing, digest: refused.digest, outcome: 'fail', serving: lastDigest, reason: 'unhealthy' })
      else if (lastDigest !== null) box.put({ ...nothing, digest: lastDigest, outcome: 'ok', serving: lastDigest })
    },
  }
}

const nothing = { reason: null, detail: null, message: null, ms: null }

/**
 * A part that sends what is in the box, and a newer one in its place, until control has it; and what it has again after
 * about `againMs` (0 is never), since control may have been restored from a backup that is older than what it was told.
 */
export function createReporter(
  box: OutcomeBox,
  client: ControlClient,
  againMs: number,
  log: Log,
  registry: Registry,
): Part {
  const failures = createCounter(registry, metrics.controlReportFailuresTotal)
  failures.inc({}, 0)
  const stop = new AbortController()
  let running: Promise<void> | undefined
  let isFaultTold = false

  async function run(): Promise<void> {
    let held: Outcome | undefined
    let told: Outcome | undefined
    let tries = 0
    let waitMs = Number.POSITIVE_INFINITY
    let notBefore = 0
    while (!stop.signal.aborted) {
      const taken = await box.take(waitMs, stop.signal)
      if (stop.signal.aborted) return
      if (taken !== undefined) tries = 0
      held = taken ?? held ?? told
      // A newer outcome goes at once, unless control asked for a pause.
      waitMs = held === undefined ? Number.POSITIVE_INFINITY : Math.max(0, notBefore - performance.now())
      if (held === undefined || waitMs > 0) continue
      const answer = await send(held)
      if (typeof answer === 'number') {
        tries++
        notBefore = performance.now() + answer
        waitMs = answer + Math.min(longestPauseMs, firstPauseMs * 2 ** (tries - 1)) * (0.5 + Math.random() / 2)
      } else {
        told = answer === 'taken' && againMs > 0 ? held : undefined
        held = undefined
        tries = 0
        waitMs = told === undefined ? Number.POSITIVE_INFINITY : againMs * (0.75 + Math.random() / 2)
      }
    }
  }

  /** Where this outcome is not done with: how long control asked to be left alone. */
  async function send(outcome: Outcome): Promise<'taken' | 'refused' | number> {
    try {
      const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(answerMs)])
      const request = { method: 'PUT', path: agentPaths.outcome, body: formatOutcome(outcome) } as const
      const answer = await client.send(request, signal)
      if (answer.status >= 200 && answer.status < 300) {
        if (isFaultTold) log.info({}, 'control takes outcomes again')
        isFaultTold = false
        return 'taken'
      }
      failures.inc({})
      if (!isPassing(answer)) {
        isFaultTold = false
        log.warn({ status: answer.status }, `control refuses the outcome (${answer.status}); it is not sent again`)
        return 'refused'
      }
      tell({ status: answer.status })
      return answer.retryAfterMs
    } catch (error) {
      if (stop.signal.aborted) return 'refused'
      failures.inc({})
      tell({ err: error })
      return 0
    }
  }
  function tell(fields: Readonly<Record<string, unknown>>): void {
    if (!isFaultTold) log.warn(fields, 'control cannot be told the outcome; the newest one is kept and sent again')
    isFaultTold = true
  }

  return {
    name: 'reporter',
    start() {
      running = run().catch((error: unknown) => log.error({ err: error }, 'outcomes are no longer told to control'))
    },
    async stop() {
      stop.abort()
      await running
    },
  }
}

/** What the same request may overcome later; 401 with the next token. */
function isPassing({ status }: ControlAnswer): boolean {
  return status === 401 || status === 408 || status === 425 || status === 429 || status >= 500
}
