// The things control keeps, and the one state model of deployments.
import type { DeploymentStatus, Outcome, Role } from '@aether/contract/control-api'
import type { Digest } from '@aether/contract/digest'

/** DNS label of at most 40 characters: an app is a Deployment, a Service and a label in the cluster. */
export type AppName = string

export interface App {
  readonly name: AppName
  readonly createdAt: Date
}

export interface PublicKeyRow {
  readonly app: AppName
  /** First 16 hex characters of the key's sha256. */
  readonly id: string
  /** 64 hex characters. */
  readonly key: string
  readonly comment: string | null
  /** Its signatures count in development environments alone; those of the others count as releases'. */
  readonly isDevelopment: boolean
  readonly createdAt: Date
}

export const artifactKinds = ['archive', 'tree'] as const

export interface Artifact {
  readonly app: AppName
  readonly digest: Digest
  readonly kind: (typeof artifactKinds)[number]
  /** Of an archive as it came; of a tree those of its files, expanded. */
  readonly bytes: number
  /** Of a tree, expanded; null for an archive, which nobody has looked into. */
  readonly entries: number | null
  /** 128 hex characters; null where the app has no key yet and the policy takes that. */
  readonly signature: string | null
  readonly keyId: string | null
  /** As in the annotation, with its prefix. */
  readonly developmentSignature: string | null
  readonly developmentKeyId: string | null
  readonly commit: string | null
  readonly uploadedBy: string
  readonly createdAt: Date
}

export const objectKinds = ['object', 'file'] as const

/** Where a folder object or a file of an app's trees lies. */
export interface StoredPlace {
  /** 64 hex characters, as all digests within trees. */
  readonly digest: string
  readonly kind: (typeof objectKinds)[number]
  readonly pack: string
  readonly at: number
  readonly bytes: number
  /** An artifact of the app names it: everything below it is there. */
  readonly isNamed: boolean
}

/** What is wanted: `rollback` is active on purpose with an earlier digest. */
export const desiredStatuses = ['active', 'stopped', 'rollback'] as const
export type DesiredStatus = (typeof desiredStatuses)[number]

/** pending: nothing of it is there yet; syncing: on its way to what is wanted; healthy: every pod serves it; failed: see failureReason. */
export const currentStatuses = ['pending', 'syncing', 'healthy', 'failed'] as const
export type CurrentStatus = (typeof currentStatuses)[number]

/** How an app is run; what a deployment's row holds beside its state. */
export interface DeploymentSpec {
  readonly app: AppName
  readonly namespace: string
  readonly environment: string
  readonly replicas: number
  /** Releases replace each other in the live pods; otherwise each makes new pods. */
  readonly devHot: boolean
  /** The app's own port. */
  readonly port: number
  /** Asked until it answers 2xx before a release counts as up; null where a listening port is enough. */
  readonly readyPath: string | null
  readonly env: Readonly<Record<string, string>>
}

export interface Deployment extends DeploymentSpec {
  readonly id: string
  /** Grows by one with each write; a writer names the one it read. */
  readonly version: number
  readonly digest: Digest
  readonly desiredStatus: DesiredStatus
  readonly currentStatus: CurrentStatus
  readonly failureReason: string | null
  readonly failureMessage: string | null
  /** Whether the cluster has been given all of it; from then on the scale counts that is found there. */
  readonly isApplied: boolean
  /** Whether the cluster has been given the digest; from then on the annotation counts, whatever else is on its way. */
  readonly isTargetWritten: boolean
  readonly createdAt: Date
  readonly updatedAt: Date
  /** When currentStatus last changed. */
  readonly lastTransitionAt: Date
  /** When the digest was last changed: the clock of time to running and of the timeout. */
  readonly digestAt: Date
}

/** Fields of a deployment that a write may change. */
export type DeploymentChange = Partial<
  Pick<
    Deployment,
    | 'replicas'
    | 'devHot'
    | 'port'
    | 'readyPath'
    | 'env'
    | 'digest'
    | 'desiredStatus'
    | 'currentStatus'
    | 'failureReason'
    | 'failureMessage'
    | 'isApplied'
    | 'isTargetWritten'
    | 'lastTransitionAt'
    | 'digestAt'
  >
>

/** One row an action; `status` rows say that currentStatus changed. */
export const eventActions = ['create', 'rollout', 'rollback', 'update', 'stop', 'status'] as const
export type EventAction = (typeof eventActions)[number]

export interface NewEvent {
  readonly action: EventAction
  /** User of the token, `kubectl` for a change found in the cluster, `control` for a change of status. */
  readonly actor: string
  readonly fromDigest: Digest | null
  readonly toDigest: Digest | null
  readonly status: CurrentStatus | null
  readonly reason: string | null
  readonly message: string | null
}

export interface DeploymentEvent extends NewEvent {
  readonly id: number
  readonly deploymentId: string
  readonly at: Date
}

/** What a pod last said of itself. */
export interface Report extends Outcome {
  readonly podUid: string
  readonly podName: string
  readonly at: Date
}

/** Who asks. Agents are known by their pod, never by what they claim. */
export type Principal =
  | { readonly kind: 'user'; readonly user: string; readonly role: Role }
  | {
      readonly kind: 'agent'
      readonly app: AppName
      readonly namespace: string
      readonly podUid: string
      readonly podName: string
    }

export interface AuditEntry {
  readonly actor: string
  readonly role: string
  readonly action: string
  readonly subject: string
  readonly requestId: string
  /** `ok`, or the code of the error. */
  readonly outcome: string
}

export interface Page {
  readonly limit: number
  /** Opaque; from `next` of the page before. */
  readonly after: string | null
}

export interface Paged<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

/** The API's short word for a deployment. */
export function statusOf({ currentStatus }: Pick<Deployment, 'currentStatus'>): DeploymentStatus {
  if (currentStatus === 'healthy') return 'running'
  return currentStatus === 'failed' ? 'failed' : 'pending'
}
