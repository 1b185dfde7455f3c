// Where the target comes from, by mode.
import type { Log } from '@aether/runtime/log'
import type { Registry } from '@aether/runtime/metrics'
import type { Part } from '@aether/runtime/parts'
import type { FetcherConfig } from './config.ts'
import type { Delivery } from './delivery.ts'
import { createFileSource } from './file-source.ts'

export async function createSource(
  config: FetcherConfig,
  deliver: (delivery: Delivery) => void,
  log: Log,
  registry: Registry,
): Promise<Part> {
  const { mode, intervalMs } = config
  if (mode === 'file') return createFileSource({ path: config.annotationsFile, intervalMs, deliver, log })
  const { createApiSource } = await import('./api-source.ts')
  return createApiSource(config, deliver, log, registry)
}
