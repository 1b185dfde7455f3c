// What http/ may ask of the domain. Everything here has been validated by its schema and its caller's role is known;
// who may do what is decided in http/permissions.ts. Each throws ControlError.
import type { Outcome, SelfTarget } from '@aether/contract/control-api'
import type { Digest } from '@aether/contract/digest'
import type {
  App,
  AppName,
  Artifact,
  Deployment,
  DeploymentEvent,
  DeploymentSpec,
  Page,
  Paged,
  Principal,
  PublicKeyRow,
  Report,
} from './model.ts'
import type { MadeFile } from './ports.ts'
import type { TreeFile } from './tree-files.ts'

export type Agent = Extract<Principal, { kind: 'agent' }>

export interface Apps {
  create(name: AppName): Promise<{ readonly app: App; readonly isNew: boolean }>
  find(name: AppName): Promise<App>
  list(page: Page): Promise<Paged<App>>
  /** `text` is hex, base64 or PEM of one key. */
  addKey(
    app: AppName,
    text: string,
    comment: string | null,
    isDevelopment: boolean,
  ): Promise<{ readonly key: PublicKeyRow; readonly isNew: boolean }>
  listKeys(app: AppName): Promise<readonly PublicKeyRow[]>
}

export interface Upload {
  readonly app: AppName
  readonly digest: Digest
  readonly signature: string | null
  readonly commit: string | null
  readonly by: string
  /** Declared length; null where it was sent in chunks. */
  readonly length: number | null
  readonly body: AsyncIterable<Uint8Array>
}

export interface ArtifactFile extends MadeFile {
  readonly isArchive: boolean
}

export interface TakenObjects {
  /** How many came whole. */
  readonly objects: number
  /** Of theirs, unpacked. */
  readonly bytes: number
}

/** Digests of objects are 64 hex characters. */
export interface Trees {
  /**
   * `lacking`: the app has never sent them, or not of late. `unproven`: folder objects that are there and no artifact names,
   * so that what they lead to may be lacking.
   */
  lacking(
    app: AppName,
    digests: readonly string[],
  ): Promise<{ readonly lacking: readonly string[]; readonly unproven: readonly string[] }>
  /** What came whole stays, whatever this throws. */
  take(app: AppName, body: AsyncIterable<Uint8Array>): Promise<TakenObjects>
  /** Throws `incomplete` where objects are lacking, `bad_tree` where no pod would take it. */
  register(
    tree: Pick<Upload, 'app' | 'digest' | 'signature' | 'commit' | 'by'>,
  ): Promise<{ readonly artifact: Artifact; readonly isNew: boolean }>
}

export interface Artifacts {
  /** Checks app, size and signature before the first byte is read; the digest at the last. */
  upload(upload: Upload): Promise<{ readonly artifact: Artifact; readonly isNew: boolean }>
  /** The artifact as `who` may see it: an agent only its own app's (`foreign_artifact`). */
  find(digest: Digest, who: Principal): Promise<Artifact>
  /** Its bytes, those of a tree's root object, or a file that stands beside that. */
  open(artifact: Artifact, file: 'itself' | TreeFile): Promise<ArtifactFile>
  list(app: AppName | null, page: Page): Promise<Paged<Artifact>>
}

export interface DeploymentView {
  readonly deployment: Deployment
  readonly events: readonly DeploymentEvent[]
  readonly pods: readonly Report[]
}

export interface Deployments {
  create(spec: DeploymentSpec, digest: Digest, by: string): Promise<Deployment>
  view(id: string): Promise<DeploymentView>
  list(
    filter: { readonly app: AppName | null; readonly namespace: string | null; readonly withStopped: boolean },
    page: Page,
  ): Promise<Paged<Deployment>>
  /** A new digest is a rollout, recorded as such; the rest is an update. */
  change(
    id: string,
    change: { readonly digest?: Digest } & Partial<
      Pick<DeploymentSpec, 'replicas' | 'devHot' | 'port' | 'readyPath' | 'env'>
    >,
    by: string,
  ): Promise<Deployment>
  /** To `digest`, else to the one that served before. */
  rollback(id: string, digest: Digest | null, by: string): Promise<Deployment>
  /** Takes it out of the cluster; its history stays. */
  stop(id: string, by: string): Promise<void>
}

export interface Agents {
  /** The pod's own annotations have it before this answers. Throws `not_found` where no digest is wanted. */
  targetOf(agent: Agent): Promise<SelfTarget>
  report(agent: Agent, outcome: Outcome): Promise<void>
}

export interface Services {
  readonly apps: Apps
  readonly artifacts: Artifacts
  readonly trees: Trees
  readonly deployments: Deployments
  readonly agents: Agents
  /** Who shows this token: a user of the table, or a pod. Undefined where nobody does. */
  readonly authenticate: (token: string) => Promise<Principal | undefined>
  /** What is not well now, a line each; for /readyz. */
  readonly faults: () => Promise<readonly string[]>
}
