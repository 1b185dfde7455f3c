// Where the target comes from, by mode. Only the chosen source's code is loaded.
import type { Log } from '@aether/runtime/log'
import type { Part } from '@aether/runtime/parts'
import type { FetcherConfig } from './config.ts'
import type { Delivery } from './delivery.ts'

// Bookmarks come about once a minute; a watch that is silent for longer than two and a half is dead.
const silenceMs = 150_000

export async function createSource(
  config: FetcherConfig,
  deliver: (delivery: Delivery) => void,
  log: Log,
): Promise<Part> {
  if (config.mode === 'file') {
    const { createFileSource } = await import('./file-source.ts')
    return createFileSource({ path: config.annotationsFile, intervalMs: config.intervalMs, deliver, log })
  }
  const { createApiServer } = await import('./api-server.ts')
  const { createPodApi } = await import('./pod-api.ts')
  const { createWatchSource } = await import('./watch-source.ts')
  const api = createPodApi(createApiServer(config.api), config.pod)
  return createWatchSource({ api, deliver, log, silenceMs })
}
