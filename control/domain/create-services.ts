// The domain, brought together: what http/ asks, and the controller that main.ts runs.
import { createHash } from 'node:crypto'
import { hexOf } from '@aether/contract/digest'
import { createAgents } from './agents.ts'
import { createApps } from './apps.ts'
import { type ArtifactPolicy, createArtifacts } from './artifacts.ts'
import { type Controller, type ControllerOptions, createController } from './controller.ts'
import { createDeployments } from './deployments.ts'
import { ControlError } from './errors.ts'
import type { Blobs, Cluster, Store, TreeBlobs } from './ports.ts'
import { type RetentionRule, retainArtifacts } from './retention.ts'
import type { Services } from './services.ts'
import { createTrees, type OwnTrees, type TreePolicy } from './trees.ts'

export interface DomainOptions extends Omit<ControllerOptions, 'awaitMove'>, ArtifactPolicy, TreePolicy {
  readonly blobs: Blobs
  readonly treeBlobs: TreeBlobs
}

export interface Domain {
  readonly services: Services
  readonly controller: Controller
  readonly trees: Pick<OwnTrees, 'recover' | 'collect'>
  /** Retires and removes what nobody uses. */
  retain(rule: RetentionRule): Promise<void>
}

export function createDomain(options: DomainOptions): Domain {
  const { store, cluster, blobs, treeBlobs } = options
  const controller = createController({
    ...options,
    awaitMove: (app, from, to) => trees.files.prepare(app, hexOf(to), hexOf(from)),
  })
  const trees: OwnTrees = createTrees(store, treeBlobs, options, controller.wakeApp)
  const artifacts = createArtifacts(store, blobs, trees, options, controller.wakeApp)
  return {
    controller,
    trees,
    retain: (rule) => retainArtifacts(store, artifacts, trees, rule, options.log),
    services: {
      apps: createApps(store),
      artifacts,
      trees,
      deployments: createDeployments(store, cluster, options, controller.wake, controller.alone),
      agents: createAgents(store, cluster, options, controller.wake),
      authenticate: (token) => authenticate(store, cluster, token),
      faults: () => faultsOf(store, cluster),
    },
  }
}

/** A pod's token is a JSON Web Token, of three parts (RFC 7519); any other is one of the table. */
async function authenticate(store: Store, cluster: Cluster, token: string) {
  const agent = token.split('.').length === 3 ? await cluster.identify(token) : undefined
  return agent ?? store.findToken(createHash('sha256').update(token).digest('hex'))
}

async function faultsOf(store: Store, cluster: Cluster): Promise<readonly string[]> {
  const faults: string[] = []
  await store.ping().catch((error: unknown) => {
    faults.push(error instanceof ControlError ? error.message : 'the database does not answer')
  })
  const fault = cluster.fault()
  if (fault !== null) faults.push(fault)
  return faults
}
