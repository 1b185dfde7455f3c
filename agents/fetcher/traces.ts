// One trace for each refresh, in that of the annotation: the whole of it, and its stages below. Made when its outcome is
// known, from the times that are measured anyway; sent when the first answer of the new code is known too, or soon.
import type { Log } from '@aether/runtime/log'
import type { Part } from '@aether/runtime/parts'
import type { Span, Tracer } from '@aether/runtime/trace'
import type { FetcherConfig } from './config.ts'
import type { Observer, Settled } from './observe.ts'
import { servedTarget } from './state.ts'
import { createSwapWatch, type SwapWatch, swapSpans } from './swap-watch.ts'

export interface Traces {
  readonly observer: Observer
  readonly parts: readonly Part[]
}

/** Nothing is made, loaded or kept where no collector is named. */
export async function withTraces(
  observer: Observer,
  { traces, app, runDir }: Pick<FetcherConfig, 'traces' | 'app' | 'runDir'>,
  log: Log,
): Promise<Traces> {
  if (traces === undefined) return { observer, parts: [] }
  const { createTracer } = await import('@aether/runtime/trace')
  const tracer = createTracer('aether-fetcher', traces, log)
  const swaps = createSwapWatch(runDir)
  const stop = () => {
    swaps.flush()
    return tracer.close()
  }
  return { observer: traceRefreshes(observer, tracer, swaps, app), parts: [{ name: 'traces', start() {}, stop }] }
}

function traceRefreshes(observer: Observer, tracer: Tracer, swaps: SwapWatch, app: string): Observer {
  return {
    ...observer,
    ok(settled, state) {
      observer.ok(settled, state)
      const { activation, ms, reused, bytes, swapMs } = settled
      const to = performance.now()
      const attributes = { app, digest: activation.digest, activation: activation.id, reused, bytes }
      const trace = servedTarget(state)?.trace
      const root = { name: 'refresh', from: to - ms, to, attributes }
      swaps.flush()
      if (swapMs === undefined) tracer.send(trace, root, stagesOf(settled, to))
      else
        swaps.watch(activation.id, (times) => {
          const stages = stagesOf(settled, to)
          const swapped = times === null ? [{ name: 'swap', from: to - swapMs, to }] : swapSpans(times, to - swapMs, to)
          tracer.send(trace, root, [...stages, ...swapped])
        })
    },
    fail(error, about, ms, state) {
      observer.fail(error, about, ms, state)
      swaps.flush()
      const to = performance.now()
      const { reason, detail, message } = error
      const attributes = { app, reason, detail, ...(about === undefined ? {} : { digest: about.digest }) }
      tracer.send(about?.trace, { name: 'refresh', from: to - ms, to, attributes, error: message }, [])
    },
  }
}

/** Those before the swap, one after the other, but for `extract`, which is within `fetch`; before them is the wait for the event. */
function stagesOf(settled: Settled, end: number): readonly Span[] {
  const { ms, verifyMs, fetchMs, extractMs, activateMs, swapMs } = settled
  const spans: Span[] = []
  let to = end - (swapMs ?? 0)
  const stages = { activate: activateMs, fetch: fetchMs, verify: verifyMs }
  for (const [name, stageMs] of Object.entries(stages)) {
    if (name === 'fetch' && extractMs > 0) spans.unshift({ name: 'extract', from: to - extractMs, to })
    if (stageMs > 0) spans.unshift({ name, from: to - stageMs, to })
    to -= stageMs
  }
  const from = end - ms
  return to > from ? [{ name: 'event', from, to }, ...spans] : spans
}
