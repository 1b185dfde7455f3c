// What is kept of the objects of the cluster: the few fields that decide, of bounded length.
import { annotations } from '@aether/contract/annotations'
import type { TargetAnnotations } from '../domain/ports.ts'
import { at, listAt, numberAt, textAt } from './json-path.ts'
import { appLabel } from './names.ts'
import type { OwnedObject } from './owned-objects.ts'
import { type Fault, podFault, short } from './pod-fault.ts'

export interface ObservedPod extends OwnedObject {
  readonly isReady: boolean
  readonly isTerminating: boolean
  readonly target: TargetAnnotations
  readonly fault: Fault | null
}

export interface ObservedSet extends OwnedObject {
  readonly revision: string | null
}

export interface ObservedDeployment extends OwnedObject {
  readonly revision: string | null
  readonly target: TargetAnnotations
  readonly templateTarget: TargetAnnotations
  readonly replicas: number
  /** By its own status; pods of an older template may still be ending. */
  readonly isUpdated: boolean
  readonly fault: Fault | null
}

const revisionAnnotation = 'deployment.kubernetes.io/revision'
// Of an annotation; the longest of ours is a DSSE envelope.
const maxValueChars = 16 * 1024

/** Undefined where it is no pod of ours, or one that has ended (evicted ones stay behind) and runs nothing any more. */
export function observePod(object: unknown): ObservedPod | undefined {
  const phase = textAt(object, 'status', 'phase')
  const owned = observeOwned(object, 'ReplicaSet')
  if (owned === undefined || phase === 'Failed' || phase === 'Succeeded') return undefined
  const isTerminating = textAt(object, 'metadata', 'deletionTimestamp') !== undefined
  return {
    ...owned,
    isReady: conditionOf(object, 'Ready')?.status === 'True',
    isTerminating,
    target: targetOf(at(object, 'metadata', 'annotations')),
    fault: isTerminating ? null : podFault(object),
  }
}

/** Of its metadata alone. */
export function observeSet(object: unknown): ObservedSet | undefined {
  const owned = observeOwned(object, 'Deployment')
  return owned && { ...owned, revision: textAt(object, 'metadata', 'annotations', revisionAnnotation) ?? null }
}

/** Undefined where it is not named as the app that its label names: two Deployments of one app would be two authorities. */
export function observeDeployment(object: unknown): ObservedDeployment | undefined {
  const owned = observeOwned(object, null)
  if (owned === undefined || textAt(object, 'metadata', 'labels', appLabel) !== owned.name) return undefined
  const replicas = numberAt(object, 'spec', 'replicas') ?? 1
  const isCurrent =
    (numberAt(object, 'status', 'observedGeneration') ?? 0) >= (numberAt(object, 'metadata', 'generation') ?? 0)
  const count = (name: string) => numberAt(object, 'status', name) ?? 0
  return {
    ...owned,
    revision: textAt(object, 'metadata', 'annotations', revisionAnnotation) ?? null,
    target: targetOf(at(object, 'metadata', 'annotations')),
    templateTarget: targetOf(at(object, 'spec', 'template', 'metadata', 'annotations')),
    replicas,
    isUpdated: isCurrent && count('updatedReplicas') === replicas && count('replicas') === replicas,
    // Conditions of an older spec say nothing of this one.
    fault: isCurrent ? deploymentFault(object) : null,
  }
}

/** https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status */
function deploymentFault(object: unknown): Fault | null {
  const refused = conditionOf(object, 'ReplicaFailure')
  if (refused?.status === 'True') return { reason: 'replica_failure', message: refused.message }
  const progress = conditionOf(object, 'Progressing')
  if (progress?.status !== 'False') return null
  const reason = progress.reason === 'ProgressDeadlineExceeded' ? 'progress_deadline' : 'replica_failure'
  return { reason, message: progress.message }
}

export function targetOf(all: unknown): TargetAnnotations {
  const value = (name: string) => textAt(all, name)?.slice(0, maxValueChars) ?? null
  return {
    digest: value(annotations.digest),
    artifactUrl: value(annotations.artifactUrl),
    signature: value(annotations.signature),
    commit: value(annotations.buildCommit),
  }
}

function conditionOf(object: unknown, type: string) {
  const found = listAt(object, 'status', 'conditions').find((one) => textAt(one, 'type') === type)
  if (found === undefined) return undefined
  return {
    status: textAt(found, 'status'),
    reason: textAt(found, 'reason'),
    message: short(textAt(found, 'message') ?? ''),
  }
}

function observeOwned(object: unknown, ownerKind: string | null): OwnedObject | undefined {
  const uid = textAt(object, 'metadata', 'uid')
  const namespace = textAt(object, 'metadata', 'namespace')
  const name = textAt(object, 'metadata', 'name')
  const resourceVersion = textAt(object, 'metadata', 'resourceVersion')
  if (uid === undefined || namespace === undefined || name === undefined || resourceVersion === undefined)
    return undefined
  return {
    uid,
    namespace,
    name,
    resourceVersion,
    ownerUid: ownerKind === null ? null : (ownerOf(object, ownerKind)?.uid ?? null),
  }
}

/** The controller among the owners, where it is of this kind. */
export function ownerOf(object: unknown, kind: string): { readonly uid: string; readonly name: string } | undefined {
  for (const owner of listAt(object, 'metadata', 'ownerReferences')) {
    const uid = textAt(owner, 'uid')
    const name = textAt(owner, 'name')
    const isOurs = textAt(owner, 'kind') === kind && textAt(owner, 'apiVersion') === 'apps/v1'
    if (isOurs && at(owner, 'controller') === true && uid !== undefined && name !== undefined) return { uid, name }
  }
  return undefined
}
