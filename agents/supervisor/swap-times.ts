// How long the stages of a swap took, for the trace of the refresh (fetcher/traces.ts). Nothing waits for it.
import { setTimeout as sleep } from 'node:timers/promises'
import type { SwapTimes } from '@aether/contract/supervisor-state'
import type { Child } from './child.ts'
import type { VerdictFile } from './verdict-file.ts'

/** A request that comes later than this after the process was ready says nothing about the swap. */
const soonMs = 2000

/** As they are known now; `began` is performance.now() when the activation was taken up. */
export function swapTimes({ startedAt, readyAt, link }: Child, began: number): SwapTimes {
  const since = (at: number) => Math.max(0, Math.round((at - began) * 1000) / 1000)
  const { answeredAt } = link.facts()
  const firstAnswerMs = answeredAt === undefined ? null : since(Math.max(answeredAt, readyAt))
  return { startMs: since(startedAt), readyMs: since(readyAt), firstAnswerMs }
}

/** Writes it when it comes: the verdict has been given by then, and waits for nobody's request. */
export async function sayFirstAnswer(child: Child, began: number, verdict: VerdictFile): Promise<void> {
  await untilFirstAnswer(child)
  const { activation, outcome, swap } = verdict.state()
  if (activation !== child.activation.id || outcome !== 'ok' || swap?.firstAnswerMs !== null) return
  const times = swapTimes(child, began)
  if (times.firstAnswerMs !== null) await verdict.publish({ swap: times })
}

/** Resolves also when none came soon, or the process ended. */
async function untilFirstAnswer({ readyAt, link, exited, isAlive }: Child): Promise<void> {
  for (;;) {
    const leftMs = readyAt + soonMs - performance.now()
    if (link.facts().answeredAt !== undefined || leftMs <= 0 || !isAlive()) return
    await Promise.race([link.changed(), exited, sleep(leftMs, undefined, { ref: false })])
  }
}
