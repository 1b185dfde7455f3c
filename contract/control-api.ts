// What control, CLI and agents say to each other over HTTP: the words of the API. Its schemas are control's
// (control/http), served as OpenAPI; docs/contract.md has the table of routes.
import type { Digest } from './digest.ts'
import { parseDigest } from './digest.ts'
import { parseFields } from './json.ts'

/** What a token may do, from much to little: admin everything; deployer apps, artifacts and deployments, no keys; uploader artifacts; reader reads. */
export const roles = ['admin', 'deployer', 'uploader', 'reader'] as const
export type Role = (typeof roles)[number]

/** What a deployment is in the API's short word; `current_status` is finer. */
export const deploymentStatuses = ['pending', 'running', 'failed'] as const
export type DeploymentStatus = (typeof deploymentStatuses)[number]

/** Request headers of `POST /artifacts`, whose body is the artifact itself. */
export const uploadHeaders = {
  app: 'aether-app',
  digest: 'aether-digest',
  signature: 'aether-signature',
  commit: 'aether-commit',
} as const

/** Content type of `POST /apps/{app}/objects`: an object pack (docs/artifact-format.md). */
export const objectPackType = 'application/octet-stream'

/** Of digests in one `POST /apps/{app}/objects/lacking`. */
export const mostAskedObjects = 5_000

/** Routes that agents ask; the caller is known by its token alone. */
export const agentPaths = {
  /** GET: 200 with a SelfTarget; 404 where no digest is wanted. */
  target: '/pods/self/target',
  /** PUT: an Outcome; 204. The last one counts. */
  outcome: '/pods/self/outcome',
} as const

/** Audience of the projected service-account token that pods show to control, and to nobody else. */
export const controlAudience = 'aether-control'

/** What a new pod starts with; the annotations of its template may be older. */
export interface SelfTarget {
  readonly digest: Digest
  readonly artifactUrl: string
  readonly signature: string | null
  readonly commit: string | null
}

/** What became of the last target that an agent took up, or what it serves since it started. */
export interface Outcome {
  /** The digest that was asked for. */
  readonly digest: Digest
  readonly outcome: 'ok' | 'fail'
  /** What the pod serves now; null where nothing does. */
  readonly serving: Digest | null
  /** Of the table of reasons; null where the outcome is ok. */
  readonly reason: string | null
  readonly detail: string | null
  readonly message: string | null
  /** What the app wrote to stderr last, where it did not come up; said in development alone. At most 4096 characters. */
  readonly output?: string | null
  /** Milliseconds from the annotation seen to serving; null where nothing had to be done. */
  readonly ms: number | null
}

export function formatSelfTarget({ digest, artifactUrl, signature, commit }: SelfTarget): string {
  return JSON.stringify({ digest, artifact_url: artifactUrl, signature, commit })
}

/** Throws RecordError, or ReasonError `target` for the digest. */
export function parseSelfTarget(json: string): SelfTarget {
  const fields = parseFields(json, "control's answer")
  return {
    digest: parseDigest(fields.text('digest'), "control's digest"),
    artifactUrl: fields.text('artifact_url'),
    signature: fields.textOrNull('signature'),
    commit: fields.textOrNull('commit'),
  }
}

export function formatOutcome(outcome: Outcome): string {
  return JSON.stringify(outcome)
}
