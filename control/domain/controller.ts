// Carries deployments to the cluster and what became of them back. One pass a change, never two of one app at once:
//   1 read the row and the view   2 take up what was changed in the cluster   3 write the target, pods first
//   4 apply a spec that changed   5 judge, and record what is new
//   6 a while after a digest alone changed, apply the spec all the same: what somebody took away comes back
// A pass can be repeated from any point, so a crash or a lost connection costs nothing but time.

import type { Digest } from '@aether/contract/digest'
import { findArtifactFor } from './artifacts.ts'
import { eventOf, newDigest } from './deployments.ts'
import { ControlError } from './errors.ts'
import { deadlineOf, type Judgement, judge } from './judge.ts'
import type { AppName, CurrentStatus, Deployment, Report } from './model.ts'
import { createPasses } from './passes.ts'
import type { AppRef, AppView, Cluster, Store, TargetAnnotations } from './ports.ts'
import type { SignaturePolicy } from './signature.ts'
import { isSameTarget, readDigest, selfTargetOf } from './target.ts'

export interface ControllerLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

export interface ControllerMetrics {
  /** A deployment's status changed. */
  transition(to: CurrentStatus): void
  /** Seconds from a new digest to healthy. */
  timeToRunning(seconds: number): void
  /** Seconds from a new digest to the last write of its annotations. */
  propagated(seconds: number): void
}

export interface ControllerOptions {
  readonly store: Store
  readonly cluster: Cluster
  readonly publicUrl: string
  readonly developmentEnvironments: SignaturePolicy['developmentEnvironments']
  readonly syncTimeoutMs: number
  readonly log: ControllerLog
  readonly metrics: ControllerMetrics
  /** Pods that hold a tree are about to ask for another one. */
  readonly awaitMove: (app: AppName, from: Digest, to: Digest) => void
}

export interface Controller {
  readonly name: string
  start(): void
  stop(): Promise<void>
  /** Something about this app in this namespace changed. */
  wake(ref: AppRef): void
  /** An artifact of the app came, which one of its deployments may wait for. */
  wakeApp(app: AppName): void
  /** Runs `work` while no pass of this app is under way. */
  alone<T>(ref: AppRef, work: () => Promise<T>): Promise<T>
}

const podsAtOnce = 16
const unseenPodMs = 600_000
/** Until what was refused, or waits for an artifact, is looked at again, should nothing say that it changed. */
const lookAgainMs = 30_000
/** Who saves a file saves another, and a dozen requests to the API server would meet it. */
const repairMs = 5_000
const kubectl = 'kubectl'

export function createController(options: ControllerOptions): Controller {
  const { store, cluster, publicUrl, developmentEnvironments, syncTimeoutMs, log, metrics, awaitMove } = options
  /** Deployments whose digest alone changed, and when each is to be applied. */
  const toRepair = new Map<string, number>()
  /** Undefined before its start and after its end. */
  let startedAt: Date | undefined
  let starting: Promise<void> | undefined
  const passes = createPasses(pass, (ref, err, retryMs) => {
    const { app, namespace } = ref
    log.warn({ app, namespace, err, retryMs }, 'a pass over the deployment failed and is repeated')
  })

  async function pass(ref: AppRef): Promise<void> {
    // Before that an app that is there would look like one that is gone.
    if (startedAt === undefined) return
    // 1
    const row = await store.findLive(ref.namespace, ref.app)
    if (row === undefined) return
    const view = cluster.view(ref)
    // 2
    const taken = await takeUp(row, view)
    if (taken === undefined) return wake(ref)
    if (isFailure(taken)) return settleRefused(row, taken, ref)
    // 3 and 4
    const written = await write(taken, view)
    if (written === undefined) return wake(ref)
    if (isFailure(written)) return settleRefused(taken, written, ref)
    // 5
    const reports = await store.listReports(written.id)
    const now = new Date()
    const judgement = judge({ deployment: written, view: cluster.view(ref), reports, now, startedAt, syncTimeoutMs })
    await settle(written, judgement, ref)
    await forgetPods(written, reports)
    // 6
    const repairAt = toRepair.get(written.id)
    if (judgement.status === 'syncing' || repairAt === undefined) return
    if (Date.now() < repairAt) return passes.at(ref, repairAt)
    const failed = await refusalOf(async () => cluster.apply(written, await targetOf(written)))
    toRepair.delete(written.id)
    const { app, namespace } = ref
    if (failed !== undefined) log.warn({ app, namespace, reason: failed.reason }, failed.message ?? 'not applied again')
  }

  /** A pod that has just spoken may not be seen yet, so only what was said long ago goes. */
  async function forgetPods({ id, namespace, app }: Deployment, reports: readonly Report[]): Promise<void> {
    const pods = cluster.fault() === null ? cluster.view({ namespace, app })?.pods : undefined
    if (pods === undefined) return
    const gone = reports.filter(
      ({ podUid, at }) => pods.every(({ uid }) => uid !== podUid) && Date.now() - at.getTime() > unseenPodMs,
    )
    if (gone.length === 0) return
    await store.dropReports(
      id,
      gone.map(({ podUid }) => podUid),
    )
  }

  /** The annotation is the authority, and so is the scale: what was changed there is recorded and followed. Undefined where the row changed meanwhile. */
  async function takeUp(row: Deployment, view: AppView | undefined): Promise<Deployment | Judgement | undefined> {
    if (view === undefined) return row
    let now: Deployment | undefined = row
    if (row.isApplied && view.replicas !== row.replicas) {
      const event = {
        ...eventOf('update', kubectl, null, null),
        message: `replicas ${row.replicas} -> ${view.replicas}`,
      }
      now = await store.changeDeployment(row.id, row.version, { replicas: view.replicas }, event)
    }
    if (now === undefined || !now.isTargetWritten || view.target.digest === now.digest) return now
    const digest = readDigest(view.target.digest)
    if (digest === undefined)
      return failure(
        'target',
        `the annotation says ${JSON.stringify(view.target.digest?.slice(0, 100) ?? null)}: write the digest of an artifact`,
      )
    try {
      await findArtifactFor(store, row, digest, options)
    } catch (error) {
      if (
        error instanceof ControlError &&
        ['unknown_artifact', 'foreign_artifact', 'development_only'].includes(error.code)
      )
        return failure(error.code, error.message)
      throw error
    }
    log.info({ app: row.app, namespace: row.namespace, digest }, 'the annotation was changed in the cluster')
    const change = { ...newDigest(digest), desiredStatus: 'active' as const }
    return store.changeDeployment(now.id, now.version, change, eventOf('rollout', kubectl, now.digest, digest))
  }

  /** Brings row and annotations to the cluster. Undefined where the row changed meanwhile. */
  async function write(row: Deployment, view: AppView | undefined): Promise<Deployment | Judgement | undefined> {
    const isNew = !row.isApplied || !row.isTargetWritten
    if (!isNew && view === undefined) return row
    const target = await targetOf(row)
    if (row.devHot) for (const from of digestsOf(view)) if (from !== row.digest) awaitMove(row.app, from, row.digest)
    const failed = await refusalOf(async () => {
      const wrote = view === undefined ? false : await writeTarget(row, view, target)
      if (!row.isApplied || view === undefined) await cluster.apply(row, target)
      else if (isNew) toRepair.set(row.id, Date.now() + repairMs)
      if (wrote || isNew) metrics.propagated((Date.now() - row.digestAt.getTime()) / 1000)
    })
    if (failed !== undefined) return failed
    if (!isNew) return row
    const currentStatus = row.currentStatus === 'pending' ? 'syncing' : row.currentStatus
    return store.changeDeployment(row.id, row.version, { isApplied: true, isTargetWritten: true, currentStatus }, null)
  }

  async function targetOf(row: Deployment): Promise<TargetAnnotations> {
    const artifact = await findArtifactFor(store, row, row.digest, options)
    return selfTargetOf(artifact, publicUrl, developmentEnvironments.has(row.environment))
  }

  /** A pod that is born meanwhile asks for what the row says. */
  async function writeTarget(row: Deployment, view: AppView, target: TargetAnnotations): Promise<boolean> {
    const isTemplateBehind = !row.devHot && !isSameTarget(view.templateTarget, target)
    const isBehind = isTemplateBehind || !isSameTarget(view.target, target)
    const behind = row.devHot ? view.pods.filter((pod) => !pod.isTerminating && !isSameTarget(pod.target, target)) : []
    // Only a digest of the API is written over whatever is there; and then the pods need not wait for how that goes.
    const over = row.isTargetWritten ? row.digest : undefined
    if (isBehind && over !== undefined) await cluster.setTarget(row, target, row.devHot, over)
    for (let at = 0; at < behind.length; at += podsAtOnce)
      await allOf(behind.slice(at, at + podsAtOnce).map((pod) => cluster.annotatePod(row, pod.name, target)))
    if (isBehind && over === undefined) await cluster.setTarget(row, target, row.devHot)
    return isBehind || behind.length > 0
  }

  async function settleRefused(row: Deployment, why: Judgement, ref: AppRef): Promise<void> {
    await settle(row, why, ref)
    passes.at(ref, Date.now() + lookAgainMs)
  }

  async function settle(row: Deployment, { status, reason, message }: Judgement, ref: AppRef): Promise<void> {
    const isSame = row.currentStatus === status && row.failureReason === reason
    // Only the words differ, as with each retry of the same download: not worth a row each.
    if (isSame) return scheduleTimeout(row)
    const recovered = row.currentStatus === 'failed' && status === 'healthy' ? 'recovered' : null
    const event = { ...eventOf('status', 'control', null, row.digest), status, reason, message: message ?? recovered }
    const change = { currentStatus: status, failureReason: reason, failureMessage: message }
    const written = await store.changeDeployment(row.id, row.version, change, event)
    if (written === undefined) return wake(ref)
    metrics.transition(status)
    if (status === 'healthy' && row.currentStatus !== 'healthy')
      metrics.timeToRunning((Date.now() - row.digestAt.getTime()) / 1000)
    const { app, namespace, digest } = row
    log.info({ app, namespace, digest, status, reason }, `the deployment is ${status}`)
    scheduleTimeout(written)
  }

  function scheduleTimeout(row: Deployment): void {
    if (startedAt === undefined) return
    const view = cluster.view(row)
    const deadline = deadlineOf({ deployment: row, view, now: new Date(), startedAt, syncTimeoutMs })
    if (deadline !== undefined) passes.at(row, deadline + 10)
  }

  /** Until it has read which there are. */
  function wakeEverything(): void {
    store.listLive().then(
      (rows) => {
        for (const row of rows) wake(row)
      },
      (err: unknown) => {
        log.warn({ err }, 'the deployments could not be read and are asked for again')
        if (startedAt !== undefined) setTimeout(wakeEverything, 1000).unref()
      },
    )
  }

  async function wakeAll(app: AppName): Promise<void> {
    // Whatever their status: a pass under way may be about to fail one.
    for (const row of await store.listLive()) if (row.app === app) wake(row)
  }

  function wake(ref: AppRef): void {
    passes.wake({ namespace: ref.namespace, app: ref.app })
  }

  return {
    name: 'controller',
    // Control answers while the cluster is away, and says so (faults): its first lists are not waited for.
    start() {
      starting = cluster.start(wake).then(
        () => {
          startedAt = new Date()
          wakeEverything()
        },
        (err: unknown) => log.warn({ err }, 'the cluster was not reached before the end'),
      )
    },
    async stop() {
      startedAt = undefined
      await cluster.stop()
      await starting
      await passes.stop()
    },
    wake,
    alone: passes.alone,
    wakeApp: (app) =>
      void wakeAll(app).catch((err: unknown) => log.warn({ app, err }, 'its deployments could not be looked at')),
  }
}

/** What the cluster refuses is the deployment's failure; what it cannot do now, the pass'. */
async function refusalOf(work: () => Promise<void>): Promise<Judgement | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (error instanceof ControlError && error.code === 'cluster_refused') return failure(error.code, error.message)
    throw error
  }
}

/** Ends when all have: a write that is still under way could land after one of the next pass. */
async function allOf(writes: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(writes)).find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') throw failed.reason
}

/** What the annotations of its pods say, each once. */
function digestsOf(view: AppView | undefined): ReadonlySet<Digest> {
  const digests = view?.pods.map(({ target }) => readDigest(target.digest)) ?? []
  return new Set(digests.filter((digest) => digest !== undefined))
}

function failure(reason: string, message: string): Judgement {
  return { status: 'failed', reason, message }
}

function isFailure(value: Deployment | Judgement): value is Judgement {
  return 'status' in value
}
