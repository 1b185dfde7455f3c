// The apps of the cluster as its watches show them: pod -> ReplicaSet -> Deployment by the uids of their owners.
import type { Log } from '@aether/runtime/log'
import type { AppRef, AppView } from '../domain/ports.ts'
import type { ApiServer } from './api-server.ts'
import { textAt } from './json-path.ts'
import { type Sink, startListWatch, type WatchTimes } from './list-watch.ts'
import { appLabel, collectionPath, type Resource } from './names.ts'
import { type ObservedPod, observeDeployment, observePod, observeSet } from './observed.ts'
import { createOwnedObjects, type OwnedObject, type OwnedObjects } from './owned-objects.ts'

export interface AppCacheOptions {
  readonly api: ApiServer
  /** Null for all. */
  readonly namespace: string | null
  readonly log: Pick<Log, 'warn'>
  readonly times: WatchTimes
}

export interface AppCache {
  /** Resolves when the first lists are in. `changed` comes for each app there is then, and for each that changes. */
  start(changed: (ref: AppRef) => void): Promise<void>
  stop(): Promise<void>
  fault(): string | null
  /** Milliseconds since the watch that is silent for longest was heard of. */
  silentMs(): number
  view(ref: AppRef): AppView | undefined
  /** Takes a Deployment as the API server answered a write of ours: the watch shows it a moment later, or much later. */
  showDeployment(object: unknown): void
  /** Of the Deployment as it is shown, where it has this digest. */
  versionWith(ref: AppRef, digest: string): string | undefined
  pod(uid: string): ObservedPod | undefined
  /** A pod of this app, by its name. */
  podNamed(ref: AppRef, name: string): ObservedPod | undefined
  /** The app whose Deployment owns the ReplicaSet with this uid. */
  appOfSet(uid: string): AppRef | undefined
  appOfDeployment(uid: string): AppRef | undefined
}

export function createAppCache({ api, namespace, log, times }: AppCacheOptions): AppCache {
  let told: ((ref: AppRef) => void) | undefined
  const untold = new Map<string, AppRef>()
  const deployments = createOwnedObjects(({ uid }: NonNullable<ReturnType<typeof observeDeployment>>) =>
    tell(appOfDeployment(uid)),
  )
  const sets = createOwnedObjects(({ ownerUid }: NonNullable<ReturnType<typeof observeSet>>) =>
    tell(appOfDeployment(ownerUid)),
  )
  const pods = createOwnedObjects(({ ownerUid }: ObservedPod) => tell(appOfSet(ownerUid)))
  let watches: readonly ReturnType<typeof startListWatch>[] = []

  /** Once for all that came together, and after the caches have it. */
  function tell(ref: AppRef | undefined): void {
    if (ref === undefined || told === undefined) return
    if (untold.size === 0) setImmediate(tellNow)
    untold.set(`${ref.namespace}/${ref.app}`, ref)
  }
  function tellNow(): void {
    const refs = [...untold.values()]
    untold.clear()
    for (const ref of refs) told?.(ref)
  }
  function appOfDeployment(uid: string | null): AppRef | undefined {
    const found = uid === null ? undefined : deployments.get(uid)
    return found && { namespace: found.namespace, app: found.name }
  }
  function appOfSet(uid: string | null): AppRef | undefined {
    return uid === null ? undefined : appOfDeployment(sets.get(uid)?.ownerUid ?? null)
  }
  function follow<T extends OwnedObject>(
    resource: Resource,
    objects: OwnedObjects<T>,
    observe: (object: unknown) => T | undefined,
  ) {
    const what = resource === 'replicaSets' ? 'ReplicaSets' : resource
    const path = collectionPath(resource, namespace)
    const metadataOnly = resource === 'replicaSets'
    return startListWatch({
      api,
      what,
      path,
      label: appLabel,
      metadataOnly,
      sink: sinkOf(objects, observe),
      log,
      times,
    })
  }

  return {
    async start(changed) {
      watches = [
        follow('deployments', deployments, observeDeployment),
        follow('replicaSets', sets, observeSet),
        follow('pods', pods, observePod),
      ]
      await Promise.all(watches.map(({ listed }) => listed))
      told = changed
      // What changed between the first lists and now was not told.
      for (const { uid } of deployments.values()) tell(appOfDeployment(uid))
    },
    async stop() {
      told = undefined
      await Promise.all(watches.map((one) => one.stop()))
    },
    fault() {
      if (watches.length === 0) return 'the cluster is not followed yet'
      return watches.map((one) => one.fault()).find((fault) => fault !== null) ?? null
    },
    silentMs: () => Math.max(0, ...watches.map((one) => one.silentMs())),
    view(ref) {
      const deployment = deployments.find(ref.namespace, ref.app)
      if (deployment === undefined) return undefined
      const { target, templateTarget, replicas, fault, revision, isUpdated } = deployment
      const owned = sets.ownedBy(deployment.uid).map((set) => ({ set, pods: pods.ownedBy(set.uid) }))
      const isOldGone = owned.every((one) => one.set.revision === revision || one.pods.length === 0)
      return {
        ref,
        target,
        templateTarget,
        replicas,
        isRolledOut: isUpdated && isOldGone,
        fault,
        pods: owned.flatMap((one) => one.pods),
      }
    },
    showDeployment(object) {
      const observed = observeDeployment(object)
      if (observed !== undefined) deployments.put(observed)
    },
    versionWith(ref, digest) {
      const deployment = deployments.find(ref.namespace, ref.app)
      return deployment?.target.digest === digest ? deployment.resourceVersion : undefined
    },
    pod: (uid) => pods.get(uid),
    podNamed(ref, name) {
      const pod = pods.find(ref.namespace, name)
      const owner = appOfSet(pod?.ownerUid ?? null)
      return owner?.app === ref.app ? pod : undefined
    },
    appOfSet,
    appOfDeployment,
  }
}

function sinkOf<T extends OwnedObject>(objects: OwnedObjects<T>, observe: (object: unknown) => T | undefined): Sink {
  const drop = (object: unknown) => objects.drop(textAt(object, 'metadata', 'uid') ?? '')
  return {
    put(object) {
      const observed = observe(object)
      if (observed === undefined) drop(object)
      else objects.put(observed)
    },
    drop,
    beginList: () => objects.beginList(),
    endList: () => objects.endList(),
  }
}
