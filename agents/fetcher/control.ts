// What the fetcher has of control, where there is one: a token for its artifacts, and somebody to tell outcomes to.
// Loaded only then.
import type { Authorize } from '@aether/runtime/control-token'
import type { Log } from '@aether/runtime/log'
import type { Registry } from '@aether/runtime/metrics'
import type { Part } from '@aether/runtime/parts'
import type { FetcherConfig } from './config.ts'
import type { Observer } from './observe.ts'

export interface Joined {
  readonly observer: Observer
  readonly authorize: Authorize | undefined
  readonly parts: readonly Part[]
}

/** The observer itself, and nothing else, where AETHER_CONTROL_URL is not set. */
export async function joinControl(
  observer: Observer,
  { control, tellAgainMs, refresh }: Pick<FetcherConfig, 'control' | 'tellAgainMs' | 'refresh'>,
  log: Log,
  registry: Registry,
): Promise<Joined> {
  if (control === undefined) return { observer, authorize: undefined, parts: [] }
  const { createControlToken } = await import('@aether/runtime/control-token')
  const { createControlClient } = await import('@aether/runtime/control-client')
  const { createOutcomeBox, createReporter, recordOutcomes } = await import('./report.ts')
  const authorize = createControlToken(control, log)
  const box = createOutcomeBox()
  const reporter = createReporter(box, createControlClient(control.url, authorize), tellAgainMs, log, registry)
  return { observer: recordOutcomes(observer, box, refresh.policy.takesDevelopment), authorize, parts: [reporter] }
}
