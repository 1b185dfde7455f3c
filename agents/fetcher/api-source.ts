// Modes `watch` and `poll`: the API server. Loaded with one of them, since it brings TLS.
import { metrics } from '@aether/contract/metric-names'
import type { Log } from '@aether/runtime/log'
import { createGauge, type Registry, type TypedGauge } from '@aether/runtime/metrics'
import type { Part } from '@aether/runtime/parts'
import { createApiServer } from './api-server.ts'
import type { FetcherConfig } from './config.ts'
import type { Delivery } from './delivery.ts'
import { createPodApi } from './pod-api.ts'
import { createPollSource } from './poll-source.ts'
import { createWatchSource } from './watch-source.ts'

// Bookmarks come about once a minute; a watch that is silent for longer than two and a half is dead.
const silenceMs = 150_000

export function createApiSource(
  config: FetcherConfig,
  deliver: (delivery: Delivery) => void,
  log: Log,
  registry: Registry,
): Part {
  const { mode, intervalMs } = config
  const api = createPodApi(createApiServer(config.api), config.pod)
  const contact = trackContact(registry)
  if (mode === 'poll') return createPollSource({ api, intervalMs, deliver, contact, log })
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
