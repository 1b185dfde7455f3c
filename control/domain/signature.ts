// The signature of what is sent, which covers its digest: so it is verified before a byte is read.
import { uploadHeaders } from '@aether/contract/control-api'
import { toReasonError } from '@aether/contract/reasons'
import { parsePublicKeys } from '@aether/verifier/keys'
import { parseSignature, verifySignature } from '@aether/verifier/verify'
import { ControlError } from './errors.ts'
import type { Artifact } from './model.ts'
import type { Store } from './ports.ts'
import type { Upload } from './services.ts'

export interface SignaturePolicy {
  /** False takes an unsigned artifact for an app that has no key: for development. */
  readonly requireSignature: boolean
}

/** `field` is where it was written. */
export async function verifyUpload(
  store: Pick<Store, 'listKeys'>,
  { app, digest, signature }: Pick<Upload, 'app' | 'digest' | 'signature'>,
  { requireSignature }: SignaturePolicy,
  field: string = uploadHeaders.signature,
): Promise<Pick<Artifact, 'signature' | 'keyId'>> {
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
