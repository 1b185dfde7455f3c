// control: the service. Wiring only.
import { join } from 'node:path'
import { exitCodes } from '@aether/contract/exit-codes'
import { metrics } from '@aether/contract/metric-names'
import { runCommand } from '@aether/runtime/command'
import { createRegistry, setBuildInfo } from '@aether/runtime/metrics'
import { runParts } from '@aether/runtime/parts'
import { createAppMetrics } from './app-metrics.ts'
import { createFolderBlobs } from './blobs/folder.ts'
import { createFolderTrees } from './blobs/tree-folder.ts'
import { loadConfig } from './config.ts'
import { createDomain } from './domain/create-services.ts'
import { ControlError } from './domain/errors.ts'
import { buildApp } from './http/app.ts'
import { createListener } from './http/listen.ts'
import { createLog } from './log.ts'
import { openCluster } from './open-cluster.ts'
import about from './package.json' with { type: 'json' }
import { openStore } from './store/open.ts'
import { createTokens } from './tokens.ts'
import { createUpkeep } from './upkeep.ts'

/** Of packs and deltas that were made for pods: some twenty full packs of a large app. */
const mostMadeBytes = 1024 ** 3

await runCommand(
  'control',
  async () => {
    process.umask(0o077) // what is kept here is nobody else's
    const config = loadConfig(process.argv.slice(2), process.env)
    const log = createLog('control', config.logLevel)
    for (const warning of config.warnings) log.warn({}, warning)
    const registry = createRegistry()
    setBuildInfo(registry, metrics.buildInfo, 'control')
    const store = await openStore({ databaseUrl: config.databaseUrl, dataFolder: config.dataDir })
    const blobs = createFolderBlobs(join(config.dataDir, 'artifacts'))
    const treeBlobs = createFolderTrees(join(config.dataDir, 'trees'), mostMadeBytes)
    const cluster = await openCluster(config, store, log)
    const counts = createAppMetrics(registry, store, log)
    const world = { store, blobs, treeBlobs, cluster, log, metrics: counts }
    const domain = createDomain({ ...config, ...world })
    const { services, controller } = domain
    const { version } = about
    const app = await buildApp({ ...config, services, audit: store.audit, registry, log, version })
    const parts = [
      { name: 'store', start: () => {}, stop: () => store.close() },
      { name: 'artifacts', start: () => blobs.recover(), stop: () => {} },
      createUpkeep(domain, config.keepArtifacts, log),
      createTokens(config, store, log),
      controller,
      createListener(app, { ...config, log }),
    ]
    await runParts(parts, log)
    return exitCodes.ok
  },
  (error) => error instanceof ControlError,
)
