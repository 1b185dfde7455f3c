// From what the cluster shows and what the pods say to a deployment's status. Pure, so that each row can be tested.
import { hexOf } from '@aether/contract/digest'
import { isReason, reasons } from '@aether/contract/reasons'
import type { CurrentStatus, Deployment, Report } from './model.ts'
import type { AppView } from './ports.ts'

export interface Judgement {
  readonly status: CurrentStatus
  /** Null unless `status` is failed. */
  readonly reason: string | null
  readonly message: string | null
}

export interface Evidence {
  readonly deployment: Deployment
  /** Undefined where the cluster has no such app. */
  readonly view: AppView | undefined
  readonly reports: readonly Report[]
  readonly now: Date
  /** When control began to look: before that, no pod could reach it either. */
  readonly startedAt: Date
  readonly syncTimeoutMs: number
}

/** Within this time after a write, an app that the cluster does not show may be one that it does not show yet. */
export const appliedSeenMs = 10_000

/**
 * Within this time after a write, a disturbance or control's own start, a download that the fetcher tries again in seconds
 * has not failed yet: control writes targets as soon as it has started, and pods reach it when Kubernetes has found it ready.
 */
export const passingMs = 15_000
const passingDetails: ReadonlySet<string> = new Set(['unreachable', 'timeout', 'truncated', 'http_status'])

/** What is certain comes first: a fault of the newest target before the faults of pods, and those before a time that ran out. */
export function judge(evidence: Evidence): Judgement {
  const { deployment, view, reports, now, syncTimeoutMs } = evidence
  if (!deployment.isApplied) return going(deployment.currentStatus === 'pending' ? 'pending' : 'syncing')
  // The watch tells of what was just applied a moment later.
  if (view === undefined && now.getTime() - deployment.updatedAt.getTime() < appliedSeenMs) return going('syncing')
  if (view === undefined)
    return failed('deployment_gone', 'its Deployment is no longer in the cluster: deploy again, or stop it here too')
  const pods = view.pods.filter((pod) => !pod.isTerminating)
  const byPod = new Map(reports.map((report) => [report.podUid, report]))

  const mayPass = deployment.currentStatus !== 'failed' && now.getTime() - disturbedAt(evidence) < passingMs
  for (const pod of pods) {
    const report = byPod.get(pod.uid)
    if (report?.digest === deployment.digest && report.outcome === 'fail' && counts(report, deployment, mayPass))
      return failed(report.reason ?? 'internal', `pod ${pod.name}: ${report.message ?? 'no message'}`)
  }
  for (const pod of pods)
    if (pod.fault !== null) return failed(pod.fault.reason, `pod ${pod.name}: ${pod.fault.message}`)
  if (view.fault !== null) return failed(view.fault.reason, view.fault.message)

  const lacking = pods.flatMap((pod) => {
    const serves = byPod.get(pod.uid)?.serving
    if (serves !== deployment.digest) return `${pod.name} serves ${serves ? hexOf(serves).slice(0, 12) : 'nothing yet'}`
    return pod.isReady ? [] : `${pod.name} is not ready`
  })
  if (lacking.length === 0 && pods.length === view.replicas && view.isRolledOut) return going('healthy')

  const since = Math.max(deployment.digestAt.getTime(), syncingSince(deployment, now))
  if (now.getTime() - since < syncTimeoutMs) return going('syncing')
  // Once it failed it stays so until something changes, not only until somebody looks again.
  const seen = lacking.length > 0 ? lacking.slice(0, 5).join('; ') : `${pods.length} of ${view.replicas} pods are there`
  return failed('timeout', `not all pods serve it after ${Math.round(syncTimeoutMs / 1000)} s: ${seen}`)
}

/** A failure of before the digest was last asked for does not count where the fetcher tries again by itself. */
function counts({ reason, detail, at }: Report, { digestAt }: Deployment, mayPass: boolean): boolean {
  const isRetried = reason !== null && isReason(reason) && reasons[reason].retry !== 'annotation'
  if (isRetried && at < digestAt) return false
  return !mayPass || reason !== 'download' || !passingDetails.has(detail ?? '')
}

/** When it may fail by time alone; undefined where time changes nothing. */
export function deadlineOf(evidence: Omit<Evidence, 'reports'>): number | undefined {
  const { deployment, view, now, syncTimeoutMs } = evidence
  const { currentStatus, digestAt, updatedAt, lastTransitionAt } = deployment
  if (currentStatus !== 'syncing') return undefined
  if (view === undefined) return updatedAt.getTime() + appliedSeenMs
  const passed = disturbedAt(evidence) + passingMs
  if (passed > now.getTime()) return passed
  return Math.max(digestAt.getTime(), lastTransitionAt.getTime()) + syncTimeoutMs
}

/** From when on a download that is tried again may take its time. */
function disturbedAt({ deployment, startedAt, now }: Pick<Evidence, 'deployment' | 'startedAt' | 'now'>): number {
  return Math.max(startedAt.getTime(), deployment.updatedAt.getTime(), syncingSince(deployment, now))
}

/** A deployment that was healthy until now has all its time before it; one that failed by time has none. */
function syncingSince({ currentStatus, failureReason, lastTransitionAt }: Deployment, now: Date): number {
  if (currentStatus === 'syncing') return lastTransitionAt.getTime()
  return currentStatus === 'failed' && failureReason === 'timeout' ? 0 : now.getTime()
}

function going(status: CurrentStatus): Judgement {
  return { status, reason: null, message: null }
}

function failed(reason: string, message: string): Judgement {
  return { status: 'failed', reason, message: message.slice(0, 1000) }
}
