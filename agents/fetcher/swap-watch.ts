// The stages of a swap for the trace of its refresh, from supervisor.json. The first answer of the new code comes after the
// verdict: it is waited for, not long, and nothing but the trace waits.
import type { SwapTimes } from '@aether/contract/supervisor-state'
import type { Span } from '@aether/runtime/trace'
import { watchFolder } from '@aether/runtime/watch-folder'
import { readSupervisorState } from './verdict.ts'

export interface SwapWatch {
  /** Calls `done` once: with the times of that activation's swap as they are known then, or with null. One at a time. */
  watch(activation: number, done: (times: SwapTimes | null) => void): void
  /** What is waited for is done with now. */
  flush(): void
}

/** Longer than the supervisor waits for it (supervisor/swap-times.ts). */
const mostMs = 2500
const intervalMs = 250

export function createSwapWatch(runDir: string): SwapWatch {
  let flush = () => {}
  return {
    flush: () => flush(),
    watch(activation, done) {
      flush()
      let times: SwapTimes | null = null
      const end = () => {
        clearTimeout(timer)
        watching.close()
        flush = () => {}
        done(times)
      }
      const timer = setTimeout(end, mostMs)
      const watching = watchFolder(runDir, intervalMs, async () => {
        const state = await readSupervisorState(runDir)
        if (flush !== end || state === undefined) return
        const isOfIt = state.activation === activation
        if (isOfIt) times = state.swap
        if (!isOfIt || times === null || times.firstAnswerMs !== null) end()
      })
      flush = end
    },
  }
}

/** One after the other. The supervisor's word is cut to what can be: it was ready at the verdict, and nothing is later than now. */
export function swapSpans(
  { startMs, readyMs, firstAnswerMs }: SwapTimes,
  from: number,
  verdictAt: number,
): readonly Span[] {
  const started = Math.min(from + startMs, verdictAt)
  const ready = Math.min(from + readyMs, verdictAt)
  const spans = [
    { name: 'start', from, to: started },
    { name: 'ready', from: started, to: ready },
  ]
  if (firstAnswerMs === null) return spans
  return [...spans, { name: 'first answer', from: ready, to: Math.min(from + firstAnswerMs, performance.now()) }]
}
