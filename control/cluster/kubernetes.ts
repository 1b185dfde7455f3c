// The port Cluster over Kubernetes. Load it only where one is configured: the client takes memory and time to import.
import type { Log } from '@aether/runtime/log'
import { ControlError } from '../domain/errors.ts'
import type { AppRef, Cluster } from '../domain/ports.ts'
import { ApiServerError, createApiServer } from './api-server.ts'
import { createAppCache } from './app-cache.ts'
import { createAppWriter } from './app-writer.ts'
import { createIdentifier } from './identify.ts'
import { textAt } from './json-path.ts'
import { loadEndpoint } from './kube-config.ts'
import type { WatchTimes } from './list-watch.ts'
import { appLabel, objectPath } from './names.ts'
import type { PodOptions } from './pod-spec.ts'

export interface KubernetesOptions {
  /** Path of a kubeconfig; undefined for the service account of the pod. */
  readonly kubeconfig: string | undefined
  /** The one to look after; null for all, which takes a ClusterRole. */
  readonly namespace: string | null
  readonly pods: PodOptions
  readonly log: Pick<Log, 'warn'>
  /** Of the watches; for tests. */
  readonly times?: Partial<WatchTimes>
}

export interface KubernetesCluster extends Cluster {
  /** Milliseconds since the watch that is silent for longest was heard of; bookmarks count. */
  silentMs(): number
}

// Bookmarks come about once a minute; a watch that is silent for longer than two and a half is dead.
const usualTimes: WatchTimes = { silenceMs: 150_000, shortestPauseMs: 200, longestPauseMs: 10_000 }

/** Throws ConfigError. */
export function createKubernetesCluster(options: KubernetesOptions): KubernetesCluster {
  const endpoint = loadEndpoint(options.kubeconfig)
  const api = createApiServer(endpoint)
  const times = { ...usualTimes, ...options.times }
  const cache = createAppCache({ api, namespace: options.namespace, log: options.log, times })
  const writer = createAppWriter(api, options.pods)
  const identifier = createIdentifier(api, cache)

  /** Of a pod of this app; undefined where it is gone. One that is seconds old may not be in the watch yet. */
  async function uidOf(ref: AppRef, name: string): Promise<string | undefined> {
    const seen = cache.podNamed(ref, name)
    if (seen !== undefined) return seen.uid
    try {
      const pod = await api.send({ method: 'GET', path: objectPath('pods', ref.namespace, name) })
      return textAt(pod, 'metadata', 'labels', appLabel) === ref.app ? textAt(pod, 'metadata', 'uid') : undefined
    } catch (error) {
      if (error instanceof ApiServerError && error.status === 404) return undefined
      throw error
    }
  }

  return {
    apply: (spec, first) =>
      told(`apply ${spec.namespace}/${spec.app}`, async () => cache.showDeployment(await writer.apply(spec, first))),
    setTarget: (ref, target, devHot, digest) =>
      told(`set the target of ${ref.namespace}/${ref.app}`, async () => {
        const over = digest === undefined ? undefined : { digest, version: cache.versionWith(ref, digest) }
        cache.showDeployment(await writer.setTarget(ref, target, devHot, over))
      }),
    annotatePod: (ref, name, target) =>
      told(`annotate the pod ${ref.namespace}/${name}`, async () => {
        const uid = await uidOf(ref, name)
        if (uid !== undefined) await writer.annotatePod({ namespace: ref.namespace, name, uid }, target)
      }),
    remove: (ref) => told(`remove ${ref.namespace}/${ref.app}`, () => writer.remove(ref)),
    view: (ref) => cache.view(ref),
    identify: (token) => told('review a token', () => identifier.identify(token)),
    start: (changed) => told('follow the cluster', () => cache.start(changed)),
    async stop() {
      await cache.stop()
      await endpoint.close()
    },
    fault: () => cache.fault(),
    silentMs: () => cache.silentMs(),
  }
}

/** What the API server refuses is the asker's to mend; what it cannot answer now, nobody's. */
async function told<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ApiServerError)) throw error
    const { status, message } = error
    // 401 is our own token, renewed by the kubelet in time.
    const isAway = status === 0 || status === 401 || status === 429 || status >= 500
    throw new ControlError(
      isAway ? 'cluster_unavailable' : 'cluster_refused',
      isAway ? `cannot ${what} now: ${message}` : `the cluster refuses to ${what}: ${message}`,
      { cause: error },
    )
  }
}
