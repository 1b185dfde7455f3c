// supervisor: the app's parent. Wiring only.
import { exitCodes } from '@aether/contract/exit-codes'
import { metrics } from '@aether/contract/metric-names'
import { runCommand } from '@aether/runtime/command'
import { createHealthServer } from '@aether/runtime/health'
import { createLog } from '@aether/runtime/log'
import { createRegistry, setBuildInfo } from '@aether/runtime/metrics'
import { runParts } from '@aether/runtime/parts'
import { loadConfig } from './config.ts'
import { createFollower } from './follow.ts'
import { createSupervision } from './supervise.ts'
import { openVerdictFile } from './verdict-file.ts'

void runCommand('supervisor', async () => {
  const config = loadConfig(process.argv.slice(2), process.env)
  const log = createLog('supervisor', config.logLevel)
  for (const warning of config.warnings) log.warn({}, warning)
  const registry = createRegistry()
  setBuildInfo(registry, metrics.buildInfo, 'supervisor')
  const verdict = await openVerdictFile(config.runDir, log)
  const supervision = createSupervision(config, verdict, log, registry)
  const parts = [
    createHealthServer({
      port: config.healthPort,
      host: config.healthHost,
      registry,
      readiness: supervision.readiness,
    }),
    supervision,
    createFollower(config.workspaceDir, supervision.want),
  ]
  await runParts(parts, log)
  return exitCodes.ok
})
