// One trace for each refresh, in that of the annotation: the whole of it, and its stages below. Made when its outcome is
// known, from the times that are measured anyway.
import type { Log } from '@aether/runtime/log'
import type { Part } from '@aether/runtime/parts'
import type { Span, Tracer } from '@aether/runtime/trace'
import type { FetcherConfig } from './config.ts'
import type { Observer, Settled } from './observe.ts'
import { servedTarget } from './state.ts'

export interface Traces {
  readonly observer: Observer
  readonly parts: readonly Part[]
}

/** Nothing is made, loaded or kept where no collector is named. */
export async function withTraces(
  observer: Observer,
  { traces, app }: Pick<FetcherConfig, 'traces' | 'app'>,
  log: Log,
): Promise<Traces> {
  if (traces === undefined) return { observer, parts: [] }
  const { createTracer } = await import('@aether/runtime/trace')
  const tracer = createTracer('aether-fetcher', traces, log)
  const parts = [{ name: 'traces', start() {}, stop: () => tracer.close() }]
  return { observer: traceRefreshes(observer, tracer, app), parts }
}

function traceRefreshes(observer: Observer, tracer: Tracer, app: string): Observer {
  return {
    ...observer,
    ok(settled, state) {
      observer.ok(settled, state)
      const { activation, ms, reused, bytes } = settled
      const to = performance.now()
      const attributes = { app, digest: activation.digest, activation: activation.id, reused, bytes }
      const trace = servedTarget(state)?.trace
      tracer.send(trace, { name: 'refresh', from: to - ms, to, attributes }, stagesOf(settled, to))
    },
    fail(error, about, ms, state) {
      observer.fail(error, about, ms, state)
      const to = performance.now()
      const { reason, detail, message } = error
      const attributes = { app, reason, detail, ...(about === undefined ? {} : { digest: about.digest }) }
      tracer.send(about?.trace, { name: 'refresh', from: to - ms, to, attributes, error: message }, [])
    },
  }
}

/** One after the other, the last one ends now; what was before them is the wait for the event. */
function stagesOf({ ms, verifyMs, fetchMs, activateMs, swapMs }: Settled, end: number): readonly Span[] {
  const spans: Span[] = []
  let to = end
  const stages = { swap: swapMs ?? 0, activate: activateMs, fetch: fetchMs, verify: verifyMs }
  for (const [name, stageMs] of Object.entries(stages)) {
    if (stageMs > 0) spans.unshift({ name, from: to - stageMs, to })
    to -= stageMs
  }
  const from = end - ms
  return to > from ? [{ name: 'event', from, to }, ...spans] : spans
}
