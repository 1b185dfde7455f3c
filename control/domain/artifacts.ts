// Artifacts: taken in only where the app's signature and the digest hold, given out only to whose they are.

import { uploadHeaders } from '@aether/contract/control-api'
import { type Digest, hexOf } from '@aether/contract/digest'
import { toReasonError } from '@aether/contract/reasons'
import { parsePublicKeys } from '@aether/verifier/keys'
import { parseSignature, verifySignature } from '@aether/verifier/verify'
import { findApp } from './apps.ts'
import { ControlError } from './errors.ts'
import type { AppName, Artifact, Principal } from './model.ts'
import type { Blobs, StagedBlob, Store } from './ports.ts'
import type { Artifacts, Upload } from './services.ts'

type ArtifactStore = Pick<Store, 'findApp' | 'listKeys' | 'findArtifact' | 'addArtifact' | 'appsOf' | 'listArtifacts'>

export interface ArtifactPolicy {
  readonly maxArtifactBytes: number
  /** False takes an unsigned artifact for an app that has no key: for development. */
  readonly requireSignature: boolean
}

/** `arrived` is told of each artifact that was not there before. */
export function createArtifacts(
  store: ArtifactStore,
  blobs: Blobs,
  policy: ArtifactPolicy,
  arrived: (app: AppName) => void,
): Artifacts {
  return {
    async upload(upload) {
      const { app, digest, length } = upload
      await findApp(store, app, uploadHeaders.app)
      if (length !== null && length > policy.maxArtifactBytes) throw tooLarge(length, policy)
      const signed = await verifyUpload(store, upload, policy)
      const row = { app, digest, ...signed, commit: upload.commit, uploadedBy: upload.by }
      const known = await store.findArtifact(app, digest)
      const size = known === undefined ? undefined : await blobs.sizeOf(digest)
      // This app has sent these bytes before; what another app has sent is no reason not to ask for them.
      if (size !== undefined) return store.addArtifact({ ...row, bytes: size })
      const staged = await blobs.stage(upload.body, policy.maxArtifactBytes)
      try {
        holdUpload(upload, staged)
        await staged.keep()
        const added = await store.addArtifact({ ...row, bytes: staged.bytes })
        arrived(app)
        return added
      } finally {
        await staged.discard()
      }
    },
    async find(digest, who) {
      const artifact = await findFor(store, digest, who)
      // As if it had never come, so that whoever has it sends it again.
      if ((await blobs.sizeOf(digest)) !== undefined) return artifact
      throw new ControlError('unknown_artifact', `the bytes of ${digest} are lost: upload it again`)
    },
    open: ({ digest }, range) => blobs.open(digest, range),
    async list(app, page) {
      if (app !== null) await findApp(store, app)
      return store.listArtifacts({ app }, page)
    },
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

async function findFor(store: ArtifactStore, digest: Digest, who: Principal): Promise<Artifact> {
  if (who.kind === 'agent') return findArtifactOf(store, who.app, digest)
  const [app] = await store.appsOf(digest)
  const artifact = app === undefined ? undefined : await store.findArtifact(app, digest)
  if (artifact !== undefined) return artifact
  throw new ControlError('unknown_artifact', `there is no artifact ${digest}`)
}

/** The signature covers the digest, so it is verified before a byte is read. */
async function verifyUpload(
  store: ArtifactStore,
  { app, digest, signature }: Upload,
  { requireSignature }: ArtifactPolicy,
): Promise<Pick<Artifact, 'signature' | 'keyId'>> {
  const field = uploadHeaders.signature
  const rows = await store.listKeys(app)
  if (signature === null) {
    if (rows.length === 0 && !requireSignature) return { signature: null, keyId: null }
    const remedy =
      rows.length > 0 ? `sign the digest with a key of ${app}` : `register a key of ${app} and sign with it`
    throw new ControlError('signature_required', `${field} is missing: ${remedy}`, { field })
  }
  if (rows.length === 0)
    throw new ControlError('bad_signature', `${app} has no key that a signature could be verified with: register one`, {
      field,
    })
  try {
    const bytes = parseSignature(signature, field)
    const keys = rows.flatMap(({ key, id }) => parsePublicKeys(key, `key ${id} of ${app}`))
    return { signature: Buffer.from(bytes).toString('hex'), keyId: verifySignature(digest, bytes, keys).id }
  } catch (cause) {
    const error = toReasonError(cause)
    // A key that is in the table and may not be trusted is no fault of who uploads.
    if (error.reason !== 'signature') throw error
    throw new ControlError('bad_signature', error.message, { cause, field })
  }
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
