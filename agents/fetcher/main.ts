// fetcher: the sidecar. Wiring only.
import { exitCodes } from '@aether/contract/exit-codes'
import { metrics } from '@aether/contract/metric-names'
import { runCommand } from '@aether/runtime/command'
import { createHealthServer } from '@aether/runtime/health'
import { createLog } from '@aether/runtime/log'
import { createRegistry, setBuildInfo } from '@aether/runtime/metrics'
import { runParts } from '@aether/runtime/parts'
import { loadConfig } from './config.ts'
import { joinControl } from './control.ts'
import type { Delivery } from './delivery.ts'
import { withEvents } from './events.ts'
import { createLoop } from './loop.ts'
import { createMailbox } from './mailbox.ts'
import { createObserver } from './observe.ts'
import { createPace } from './pace.ts'
import { createSource } from './source.ts'
import { withTraces } from './traces.ts'
import { createUpkeep } from './upkeep.ts'

void runCommand('fetcher', async () => {
  process.umask(0o002) // the other agent may be another user of the volume's group
  const config = await loadConfig(process.argv.slice(2), process.env)
  const log = createLog('fetcher', config.logLevel)
  for (const warning of config.warnings) log.warn({}, warning)
  const registry = createRegistry()
  setBuildInfo(registry, metrics.buildInfo, 'fetcher')
  const seen = await withEvents(createObserver(config.app, registry, log), config, log)
  const { observer: told, authorize, parts: reporting } = await joinControl(seen, config, log, registry)
  const { observer, parts: tracing } = await withTraces(told, config, log)
  const mailbox = createMailbox<Delivery>((a, b) => a.key === b.key)
  const deliver = (delivery: Delivery) => {
    if (mailbox.put(delivery)) observer.patched(delivery.at)
  }
  // The process is there to be asked; whether a release serves is the supervisor's readiness.
  const readiness = () => ({ ready: true, message: 'following' })
  const pace = createPace({ ...config, random: Math.random })
  const upkeep = createUpkeep({ ...config, layout: config.refresh.layout, log })
  const parts = [
    createHealthServer({ port: config.healthPort, host: config.healthHost, registry, readiness }),
    ...reporting,
    ...tracing,
    createLoop({ ...config, refresh: { ...config.refresh, authorize }, mailbox, observer, log, pace, upkeep }),
    await createSource(config, deliver, log, registry),
  ]
  log.info({ mode: config.mode, app: config.app }, 'following the annotations')
  await runParts(parts, log)
  return exitCodes.ok
})
