// What agents ask and say. An agent is its pod; nothing that it claims of itself counts.
import { findArtifactFor, mayRun } from './artifacts.ts'
import { ControlError } from './errors.ts'
import type { AppRef, Cluster, Store } from './ports.ts'
import type { Agent, Agents } from './services.ts'
import type { SignaturePolicy } from './signature.ts'
import { readDigest, selfTargetOf } from './target.ts'

export function createAgents(
  store: Store,
  cluster: Pick<Cluster, 'view' | 'annotatePod' | 'fault'>,
  policy: Pick<SignaturePolicy, 'developmentEnvironments'> & { readonly publicUrl: string },
  wake: (ref: AppRef) => void,
): Agents {
  async function liveOf({ namespace, app }: Agent) {
    const row = await store.findLive(namespace, app)
    if (row !== undefined) return row
    throw new ControlError('not_found', `there is no deployment of ${app} in ${namespace}`)
  }

  return {
    async targetOf(agent) {
      // A view that lags could name an old digest, and a new pod would serve it: better to be asked again.
      const fault = cluster.fault()
      if (fault !== null) throw new ControlError('cluster_unavailable', fault)
      const row = await liveOf(agent)
      const written = row.isTargetWritten ? readDigest(cluster.view(agent)?.target.digest ?? null) : undefined
      // What is no artifact of the app, or none for its environment, fails the deployment, and keeps no pod from starting with what it had.
      const wanted = written === undefined ? undefined : await store.findArtifact(row.app, written)
      const isDevelopment = policy.developmentEnvironments.has(row.environment)
      const isWanted = wanted !== undefined && mayRun(wanted, isDevelopment)
      const artifact = isWanted ? wanted : await findArtifactFor(store, row, row.digest, policy)
      const target = selfTargetOf(artifact, policy.publicUrl, isDevelopment)
      // The fetcher starts after init-fetch and must not see an older target than the one answered here.
      if (row.devHot) await cluster.annotatePod(agent, agent.podName, target)
      return target
    },
    async report(agent, outcome) {
      const { id, environment } = await liveOf(agent)
      // What an app writes may be a secret of production.
      const output = policy.developmentEnvironments.has(environment) ? (outcome.output ?? null) : null
      await store.putReport(id, { ...outcome, output, podUid: agent.podUid, podName: agent.podName })
      wake(agent)
    },
  }
}
