// What the domain asks of the world. store/, blobs/ and cluster/ answer it; main.ts brings them together.

import type { Role } from '@aether/contract/control-api'
import type { Digest } from '@aether/contract/digest'
import type {
  App,
  AppName,
  Artifact,
  AuditEntry,
  Deployment,
  DeploymentChange,
  DeploymentEvent,
  DeploymentSpec,
  NewEvent,
  Page,
  Paged,
  Principal,
  PublicKeyRow,
  Report,
  StoredPlace,
} from './model.ts'

/** Every call is one transaction. Throws ControlError `database_unavailable` where the database cannot be reached. */
export interface Store {
  /** Resolves where the database answers. */
  ping(): Promise<void>

  /** `isNew` is false where the app was there before; that is no error. */
  createApp(name: AppName): Promise<{ readonly app: App; readonly isNew: boolean }>
  findApp(name: AppName): Promise<App | undefined>
  listApps(page: Page): Promise<Paged<App>>

  /** The same key again changes nothing. */
  addKey(key: Omit<PublicKeyRow, 'createdAt'>): Promise<{ readonly key: PublicKeyRow; readonly isNew: boolean }>
  listKeys(app: AppName): Promise<readonly PublicKeyRow[]>

  /** The same artifact again keeps the row that is there, with a newer signature where one is given. */
  addArtifact(artifact: Omit<Artifact, 'createdAt'>): Promise<{ readonly artifact: Artifact; readonly isNew: boolean }>
  findArtifact(app: AppName, digest: Digest): Promise<Artifact | undefined>
  /** A retired one too: pods may still be on their way to it. */
  findServed(app: AppName, digest: Digest): Promise<Artifact | undefined>
  /** The apps that have this artifact, sorted. */
  appsOf(digest: Digest): Promise<readonly AppName[]>
  /** Whether any other app has a row of it, be it retired. */
  isElsewhere(digest: Digest, otherThan: AppName): Promise<boolean>
  /** Newest first. */
  listArtifacts(filter: { readonly app: AppName | null }, page: Page): Promise<Paged<Artifact>>

  /**
   * Retires what is not among the `keep` that were sent last (null: all of them stay), was not sent within so many seconds,
   * and no deployment that is not stopped uses: its digest, those its pods told of, and those of its last 50 events. What is retired
   * and does not fit that any more is as before.
   */
  retireArtifacts(app: AppName, keep: number | null, seconds: number): Promise<void>
  /** Those retired for so many seconds, at most 500. */
  listRetired(app: AppName, seconds: number): Promise<readonly Artifact[]>
  /** Digests of the app's trees, retired ones too. */
  listTrees(app: AppName): Promise<readonly Digest[]>
  /** Digests of the objects of the app that an artifact names. */
  listNamed(app: AppName): Promise<readonly string[]>
  /** Removes retired artifacts, and says of these objects that nobody names them. Throws `changed_meanwhile` where one is no longer retired. */
  removeArtifacts(app: AppName, digests: readonly Digest[], unnamed: readonly string[]): Promise<void>

  /** What is not named yet stays some time longer for having been asked for. */
  renewObjects(app: AppName, digests: readonly string[]): Promise<void>
  /** Those of these objects that the app has. */
  findObjects(app: AppName, digests: readonly string[]): Promise<readonly StoredPlace[]>
  /** What came into a pack, and is durable there; what the app has elsewhere stays where it is. */
  addObjects(app: AppName, pack: string, objects: readonly Omit<StoredPlace, 'pack' | 'isNamed'>[]): Promise<void>
  /**
   * The artifact, as `addArtifact`, and that it names these objects: all that it is made of and nothing named yet. Throws
   * `incomplete` where one of them is gone meanwhile.
   */
  addTree(
    artifact: Omit<Artifact, 'createdAt'>,
    named: readonly string[],
  ): Promise<{ readonly artifact: Artifact; readonly isNew: boolean }>
  /** Forgets objects that nobody names and nobody asked for in so many seconds; answers the packs that hold nothing any more. */
  collectObjects(seconds: number): Promise<readonly PackRef[]>
  listPacks(): Promise<readonly PackRef[]>
  /** Forgets what lay in these packs, which are lost, and trusts no tree of their apps to be whole until it is sent again. */
  losePacks(packs: readonly PackRef[]): Promise<void>

  /** With its first event. Throws `conflict` where the app has one in that namespace that is not stopped. */
  createDeployment(spec: DeploymentSpec, digest: Digest, event: NewEvent): Promise<Deployment>
  findDeployment(id: string): Promise<Deployment | undefined>
  /** The one that is not stopped. */
  findLive(namespace: string, app: AppName): Promise<Deployment | undefined>
  /** Newest first; stopped ones only where `withStopped`. */
  listDeployments(
    filter: { readonly app: AppName | null; readonly namespace: string | null; readonly withStopped: boolean },
    page: Page,
  ): Promise<Paged<Deployment>>
  /** Every one that is not stopped. */
  listLive(): Promise<readonly Deployment[]>
  /** Writes the change and its event where the row still has `version`; undefined where it has not. */
  changeDeployment(
    id: string,
    version: number,
    change: DeploymentChange,
    event: NewEvent | null,
  ): Promise<Deployment | undefined>
  /** Oldest first, the last `limit`. */
  listEvents(deploymentId: string, limit: number): Promise<readonly DeploymentEvent[]>

  putReport(deploymentId: string, report: Omit<Report, 'at'>): Promise<void>
  listReports(deploymentId: string): Promise<readonly Report[]>
  /** Forgets what these pods said. */
  dropReports(deploymentId: string, podUids: readonly string[]): Promise<void>

  /** Makes the configured tokens the ones in force: new ones are added, missing ones revoked. `sha256` is 64 hex characters. */
  setTokens(tokens: readonly { readonly sha256: string; readonly role: Role; readonly user: string }[]): Promise<void>
  /** Makes or replaces the token of the agents of an app on this machine (cluster/local). */
  setAgentToken(sha256: string, namespace: string, app: AppName): Promise<void>
  /** Undefined where it is unknown or revoked. */
  findToken(sha256: string): Promise<Principal | undefined>

  audit(entry: AuditEntry): Promise<void>
  /** Deployments by current status, without stopped ones; for the gauges. */
  countByStatus(): Promise<Readonly<Record<Deployment['currentStatus'], number>>>

  close(): Promise<void>
}

/** Bytes that came whole and were hashed; not yet to be found by anybody. */
export interface StagedBlob {
  readonly digest: Digest
  readonly bytes: number
  /** Makes it durable under its digest; a second of the same digest changes nothing. */
  keep(): Promise<void>
  /** After keep it does nothing. */
  discard(): Promise<void>
}

export interface ByteRange {
  readonly start: number
  /** Inclusive. */
  readonly end: number
}

/** Throws ControlError `storage_unavailable`. */
export interface Blobs {
  /** Removes what a crash left in staging. */
  recover(): Promise<void>
  /** Reads to the end, hashing on the way. Throws `too_large` past `maxBytes`; what `chunks` throws is thrown on. */
  stage(chunks: AsyncIterable<Uint8Array>, maxBytes: number): Promise<StagedBlob>
  /** Its size; undefined where there is none. */
  sizeOf(digest: Digest): Promise<number | undefined>
  /** Throws `unknown_artifact` where there is none. */
  open(digest: Digest, range: ByteRange | null): Promise<NodeJS.ReadableStream>
  remove(digest: Digest): Promise<void>
}

export interface PackRef {
  readonly app: AppName
  readonly id: string
}

/** A pack that is being written. */
export interface PackWriter {
  append(parts: readonly Uint8Array[]): Promise<void>
  /** What was appended is durable. */
  sync(): Promise<void>
  /** Cuts it to so many bytes, durably; 0 removes it. */
  close(length: number): Promise<void>
}

export interface PackReader {
  /** A buffer of its own, of `least` bytes, or up to `most` where the pack goes on. Throws `unknown_artifact` where it is lost. */
  read(pack: string, at: number, least: number, most: number): Promise<Buffer>
  close(): Promise<void>
}

/** A file that was made of a tree; it can be made again. */
export interface MadeFile {
  readonly bytes: number
  /** Strong (RFC 9110, 8.8.1): of this making alone. */
  readonly etag: string
  /** To be read once, or closed. */
  open(range: ByteRange | null): Promise<NodeJS.ReadableStream>
  close(): Promise<void>
}

/** Where the objects of trees lie, app by app, and what is made of them. Throws ControlError `storage_unavailable`. */
export interface TreeBlobs {
  /** Removes what a crash left: packs that are not among these. Answers those that are lost. */
  recover(known: readonly PackRef[]): Promise<readonly PackRef[]>
  createPack(ref: PackRef): Promise<PackWriter>
  openPacks(app: AppName): PackReader
  removePack(ref: PackRef): Promise<void>
  /** Undefined where it is not made, or was removed to make room. */
  findMade(app: AppName, name: string): Promise<MadeFile | undefined>
  /** Writes files of these names, which appear together and whole, or not at all; the longest unused go to make room. */
  make(
    app: AppName,
    names: readonly string[],
    write: (puts: readonly ((bytes: Uint8Array) => Promise<void>)[]) => Promise<void>,
  ): Promise<void>
}

/** What the annotations of an object ask for; text as written, since anybody may have written it. */
export interface TargetAnnotations {
  readonly digest: string | null
  readonly artifactUrl: string | null
  readonly signature: string | null
  readonly commit: string | null
}

export interface AppRef {
  readonly namespace: string
  readonly app: AppName
}

export interface PodView {
  readonly uid: string
  readonly name: string
  readonly isReady: boolean
  readonly isTerminating: boolean
  readonly target: TargetAnnotations
  /** Why it cannot start, where it cannot: `image_pull`, `crash_loop`, or the reason that init-fetch left. */
  readonly fault: { readonly reason: string; readonly message: string } | null
}

/** An app as the cluster has it. */
export interface AppView {
  readonly ref: AppRef
  /** Of the Deployment's own metadata: the authority. */
  readonly target: TargetAnnotations
  /** Of the pod template; a new pod sees it. */
  readonly templateTarget: TargetAnnotations
  readonly replicas: number
  /** The cluster has seen the newest spec, and no pod of an older template is left. */
  readonly isRolledOut: boolean
  /** Of the condition Progressing, where it is False. */
  readonly fault: { readonly reason: string; readonly message: string } | null
  readonly pods: readonly PodView[]
}

/**
 * Throws ControlError `cluster_unavailable` or `cluster_refused`. What apply and setTarget wrote is in view() when they
 * resolve: a view from before it would look like a change that somebody else made.
 */
export interface Cluster {
  /** Makes or updates the app's objects; never touches the target of an app that is there. `first` is the target of one that is not. */
  apply(spec: DeploymentSpec, first: TargetAnnotations): Promise<void>
  /**
   * Writes the target on the app, and on its template where new pods are what it takes (`devHot` false). Where `over` is
   * given and the app has another digest by now, it writes nothing and throws `changed_meanwhile`.
   */
  setTarget(ref: AppRef, target: TargetAnnotations, devHot: boolean, over?: string): Promise<void>
  annotatePod(ref: AppRef, podName: string, target: TargetAnnotations): Promise<void>
  remove(ref: AppRef): Promise<void>
  /** Undefined where the cluster has no such app. From the watch; never asks. */
  view(ref: AppRef): AppView | undefined
  /** The pod that a token belongs to, by review and owner; undefined where it is no pod of ours. */
  identify(token: string): Promise<Extract<Principal, { kind: 'agent' }> | undefined>
  /** Resolves when the first lists are in. `changed` is called for each app that changed since, at least once for each. */
  start(changed: (ref: AppRef) => void): Promise<void>
  stop(): Promise<void>
  /** Why it cannot be relied on now, in a few words; null where it can. */
  fault(): string | null
}
