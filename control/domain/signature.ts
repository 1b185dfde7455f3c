// The signature of what is sent, which covers its digest: so it is verified before a byte is read. One of a development key counts
// where there is an environment for it (docs/adr/0020-development-key.md).
import { uploadHeaders } from '@aether/contract/control-api'
import { developmentPrefix } from '@aether/contract/development'
import { toReasonError } from '@aether/contract/reasons'
import { type PublicKey, parsePublicKeys } from '@aether/verifier/keys'
import { isDevelopmentSignature, parseSignature, presumeDevelopment, verifySignature } from '@aether/verifier/verify'
import { ControlError } from './errors.ts'
import type { AppName, Artifact, PublicKeyRow } from './model.ts'
import type { Store } from './ports.ts'
import type { Upload } from './services.ts'

export interface SignaturePolicy {
  /** False takes an unsigned artifact for an app that has no key: for development. */
  readonly requireSignature: boolean
  /** Environments whose deployments take development signatures, and whose pods do. */
  readonly developmentEnvironments: ReadonlySet<string>
}

type Signatures = Pick<Artifact, 'signature' | 'keyId' | 'developmentSignature' | 'developmentKeyId'>

export const unsigned: Signatures = { signature: null, keyId: null, developmentSignature: null, developmentKeyId: null }

/** `field` is where it was written. */
export async function verifyUpload(
  store: Pick<Store, 'listKeys'>,
  { app, digest, signature }: Pick<Upload, 'app' | 'digest' | 'signature'>,
  { requireSignature, developmentEnvironments }: SignaturePolicy,
  field: string = uploadHeaders.signature,
): Promise<Signatures> {
  const rows = await store.listKeys(app)
  if (signature === null) {
    if (rows.length === 0 && !requireSignature) return unsigned
    const remedy =
      rows.length > 0 ? `sign the digest with a key of ${app}` : `register a key of ${app} and sign with it`
    throw new ControlError('signature_required', `${field} is missing: ${remedy}`, { field })
  }
  const isDevelopment = isDevelopmentSignature(signature)
  if (isDevelopment && developmentEnvironments.size === 0)
    throw new ControlError(
      'bad_signature',
      `${field} is of a development key, and this control has no environment for those (AETHER_DEVELOPMENT_ENVIRONMENTS): sign with the key of releases`,
      { field },
    )
  try {
    const keys = keysOf(app, rows, isDevelopment, field)
    const bytes = parseSignature(isDevelopment ? signature.trim().slice(developmentPrefix.length) : signature, field)
    const hex = Buffer.from(bytes).toString('hex')
    if (!isDevelopment) return { ...unsigned, signature: hex, keyId: verifySignature(digest, bytes, keys).id }
    const { id } = presumeDevelopment(digest, signature, field, keys).confirm()
    return { ...unsigned, developmentSignature: developmentPrefix + hex, developmentKeyId: id }
  } catch (cause) {
    if (cause instanceof ControlError) throw cause
    const error = toReasonError(cause)
    // A key that is in the table and may not be trusted is no fault of who uploads.
    if (error.reason !== 'signature') throw error
    throw new ControlError('bad_signature', error.message, { cause, field })
  }
}

/** Those of the one kind. Throws `bad_signature` where there is none. */
function keysOf(app: AppName, rows: readonly PublicKeyRow[], isDevelopment: boolean, field: string): PublicKey[] {
  const some = rows.filter((row) => row.isDevelopment === isDevelopment)
  if (some.length > 0) return some.flatMap(({ key, id }) => parsePublicKeys(key, `key ${id} of ${app}`))
  const kind = isDevelopment ? 'development key' : 'key'
  throw new ControlError(
    'bad_signature',
    `${app} has no ${kind} that a signature could be verified with: register one`,
    {
      field,
    },
  )
}
