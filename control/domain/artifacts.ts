// Artifacts: taken in only where the app's signature and the digest hold, given out only to whose they are.

import { Readable } from 'node:stream'
import { uploadHeaders } from '@aether/contract/control-api'
import { type Digest, hexOf } from '@aether/contract/digest'
import { findApp } from './apps.ts'
import { ControlError } from './errors.ts'
import type { AppName, Artifact, DeploymentSpec, Principal } from './model.ts'
import type { Blobs, StagedBlob, Store } from './ports.ts'
import type { Artifacts, Upload } from './services.ts'
import { type SignaturePolicy, verifyUpload } from './signature.ts'
import type { OwnTrees } from './trees.ts'
import { createTurns } from './turns.ts'

type ArtifactStore = Pick<
  Store,
  | 'findApp'
  | 'listKeys'
  | 'findArtifact'
  | 'findServed'
  | 'addArtifact'
  | 'appsOf'
  | 'isElsewhere'
  | 'listArtifacts'
  | 'removeArtifacts'
>

export interface OwnArtifacts extends Artifacts {
  /** Removes a retired archive, and its bytes where no other app has it. */
  remove(app: AppName, digest: Digest): Promise<void>
}

export interface ArtifactPolicy extends SignaturePolicy {
  readonly maxArtifactBytes: number
}

/** `arrived` is told of each artifact that was not there before. */
export function createArtifacts(
  store: ArtifactStore,
  blobs: Blobs,
  trees: Pick<OwnTrees, 'object' | 'files'>,
  policy: ArtifactPolicy,
  arrived: (app: AppName) => void,
): OwnArtifacts {
  const { run: inTurn } = createTurns()
  return {
    async upload(upload) {
      const { app, digest, length } = upload
      await findApp(store, app, uploadHeaders.app)
      if (length !== null && length > policy.maxArtifactBytes) throw tooLarge(length, policy)
      const signed = await verifyUpload(store, upload, policy)
      const known = await store.findArtifact(app, digest)
      if (known?.kind === 'tree')
        throw new ControlError('conflict', `${digest} is a tree of ${app}: there is no archive to send`)
      const kind: Artifact['kind'] = 'archive'
      const row = { app, digest, kind, entries: null, ...signed, commit: upload.commit, uploadedBy: upload.by }
      const size = known === undefined ? undefined : await blobs.sizeOf(digest)
      // This app has sent these bytes before; what another app has sent is no reason not to ask for them.
      if (size !== undefined) return store.addArtifact({ ...row, bytes: size })
      const staged = await blobs.stage(upload.body, policy.maxArtifactBytes)
      try {
        holdUpload(upload, staged)
        // Or another app's artifact of the same bytes could take them away in between.
        const added = await inTurn(digest, async () => {
          await staged.keep()
          return store.addArtifact({ ...row, bytes: staged.bytes })
        })
        arrived(app)
        return added
      } finally {
        await staged.discard()
      }
    },
    async find(digest, who) {
      const artifact = await findFor(store, digest, who)
      // As if it had never come, so that whoever has it sends it again.
      const isThere =
        artifact.kind === 'tree'
          ? (await trees.object(artifact.app, digest)) !== undefined
          : (await blobs.sizeOf(digest)) !== undefined
      if (isThere) return artifact
      throw new ControlError('unknown_artifact', `the bytes of ${digest} are lost: upload it again`)
    },
    async open({ app, digest, kind, bytes }, file) {
      if (kind === 'archive') {
        if (file !== 'itself')
          throw new ControlError('unknown_artifact', `${digest} is an archive: it has nothing beside it`)
        const close = () => Promise.resolve()
        return { bytes, etag: `"${digest}"`, isArchive: true, open: (range) => blobs.open(digest, range), close }
      }
      if (file !== 'itself') return { ...(await trees.files.open(app, hexOf(digest), file)), isArchive: false }
      const root = await trees.object(app, digest)
      if (root === undefined)
        throw new ControlError('unknown_artifact', `the root of ${digest} is lost: deploy it again`)
      return {
        bytes: root.length,
        etag: `"${digest}"`,
        isArchive: false,
        open: async (range) => Readable.from([range === null ? root : root.subarray(range.start, range.end + 1)]),
        close: () => Promise.resolve(),
      }
    },
    async list(app, page) {
      if (app !== null) await findApp(store, app)
      return store.listArtifacts({ app }, page)
    },
    remove: (app, digest) =>
      inTurn(digest, async () => {
        if ((await store.findArtifact(app, digest)) !== undefined) return
        // First, so that no bytes are left which no row tells of; those of a retired row are sent anew in any case.
        if (!(await store.isElsewhere(digest, app))) await blobs.remove(digest)
        await store.removeArtifacts(app, [digest], [])
      }),
  }
}

/** The app's artifact. Throws `unknown_artifact`, or `foreign_artifact` where it is another app's alone. */
export async function findArtifactOf(
  store: Pick<Store, 'findArtifact' | 'appsOf'>,
  app: string,
  digest: Digest,
  field?: string,
): Promise<Artifact> {
  const artifact = await store.findArtifact(app, digest)
  if (artifact !== undefined) return artifact
  const options = field === undefined ? {} : { field }
  const short = hexOf(digest).slice(0, 12)
  if ((await store.appsOf(digest)).length > 0)
    throw new ControlError('foreign_artifact', `${short} is an artifact of another app than ${app}`, options)
  throw new ControlError('unknown_artifact', `${app} has no artifact ${digest}: upload it first`, options)
}

/** The same, for a deployment. Throws `development_only` where it is signed for development alone and the environment is another. */
export async function findArtifactFor(
  store: Pick<Store, 'findArtifact' | 'appsOf'>,
  { app, environment }: Pick<DeploymentSpec, 'app' | 'environment'>,
  digest: Digest,
  { developmentEnvironments }: Pick<SignaturePolicy, 'developmentEnvironments'>,
  field?: string,
): Promise<Artifact> {
  const artifact = await findArtifactOf(store, app, digest, field)
  if (mayRun(artifact, developmentEnvironments.has(environment))) return artifact
  throw new ControlError(
    'development_only',
    `${hexOf(digest).slice(0, 12)} is signed by a development key alone, and ${environment} is no environment for those: sign it with the key of releases (aether deploy)`,
    field === undefined ? {} : { field },
  )
}

export function mayRun({ signature, developmentSignature }: Artifact, isDevelopment: boolean): boolean {
  return isDevelopment || signature !== null || developmentSignature === null
}

async function findFor(store: ArtifactStore, digest: Digest, who: Principal): Promise<Artifact> {
  if (who.kind === 'agent') return (await store.findServed(who.app, digest)) ?? findArtifactOf(store, who.app, digest)
  const [app] = await store.appsOf(digest)
  const artifact = app === undefined ? undefined : await store.findArtifact(app, digest)
  if (artifact !== undefined) return artifact
  throw new ControlError('unknown_artifact', `there is no artifact ${digest}`)
}

function holdUpload({ digest, length }: Upload, staged: StagedBlob): void {
  if (length !== null && staged.bytes !== length)
    throw new ControlError('truncated', `${staged.bytes} bytes came and content-length said ${length}: send it again`)
  if (staged.digest !== digest)
    throw new ControlError(
      'wrong_digest',
      `the ${staged.bytes} bytes have the digest ${staged.digest}, and ${uploadHeaders.digest} says ${digest}`,
      { field: uploadHeaders.digest },
    )
}

function tooLarge(length: number, { maxArtifactBytes }: ArtifactPolicy): ControlError {
  return new ControlError(
    'too_large',
    `the artifact has ${length} bytes and at most ${maxArtifactBytes} are taken (AETHER_MAX_ARTIFACT_BYTES)`,
    { field: 'content-length' },
  )
}
