// Where the target comes from, by mode. Only the chosen source's code is loaded.
import { metrics } from '@aether/contract/metric-names'
import type { Log } from '@aether/runtime/log'
import { createGauge, type Registry, type TypedGauge } from '@aether/runtime/metrics'
import type { Part } from '@aether/runtime/parts'
import type { FetcherConfig } from './config.ts'
import type { Delivery } from './delivery.ts'

// Bookmarks come about once a minute; a watch that is silent for longer than two and a half is dead.
const silenceMs = 150_000

export async function createSource(
  config: FetcherConfig,
  deliver: (delivery: Delivery) => void,
  log: Log,
  registry: Registry,
): Promise<Part> {
  const { mode, intervalMs } = config
  if (mode === 'file') {
    const { createFileSource } = await import('./file-source.ts')
    return createFileSource({ path: config.annotationsFile, intervalMs, deliver, log })
  }
  const { createApiServer } = await import('./api-server.ts')
  const { createPodApi } = await import('./pod-api.ts')
  const api = createPodApi(createApiServer(config.api), config.pod)
  const contact = trackContact(registry)
  if (mode === 'poll') {
    const { createPollSource } = await import('./poll-source.ts')
    return createPollSource({ api, intervalMs, deliver, contact, log })
  }
  const { createWatchSource } = await import('./watch-source.ts')
  return createWatchSource({ api, deliver, contact, log, silenceMs })
}

/** The age of the last contact, told at each scrape; since the start where there was none yet. */
function trackContact(registry: Registry): () => void {
  let last = performance.now()
  const age: TypedGauge<never> = createGauge(registry, metrics.watchLastContactSeconds, () =>
    age.set({}, (performance.now() - last) / 1000),
  )
  return () => {
    last = performance.now()
  }
}
