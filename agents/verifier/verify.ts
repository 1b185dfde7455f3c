// ed25519 over the 64 hex characters of a digest (RFC 8032). Two implementations, and both must say yes.
import { verify as verifyByNode } from 'node:crypto'
import { developmentMessage, developmentPrefix } from '@aether/contract/development'
import { type Digest, hexOf } from '@aether/contract/digest'
import { refusal } from '@aether/contract/reasons'
import { hashes, verify as verifyByNoble } from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'
import type { PublicKey } from './keys.ts'

hashes.sha512 = sha512

/** Parses `<hex or base64 of 64 bytes>`. Throws ReasonError `signature`. */
export function parseSignature(text: string, field: string): Uint8Array {
  const trimmed = text.trim()
  if (trimmed.startsWith('dsse:'))
    throw refusal(
      'signature',
      'malformed',
      `${field} is a DSSE envelope, which this version does not take: sign the 64 hex characters of the digest`,
    )
  if (isDevelopmentSignature(trimmed))
    throw refusal(
      'signature',
      'development',
      `${field} is of a development key, which is not taken here: sign with the key of this environment (AETHER_DEVELOPMENT_SIGNATURES=true takes it, for development)`,
    )
  const bytes = /^(?:[0-9a-fA-F]{2})+$/.test(trimmed)
    ? Buffer.from(trimmed, 'hex')
    : /^[A-Za-z0-9+/_-]+={0,2}$/.test(trimmed)
      ? Buffer.from(trimmed, 'base64')
      : Buffer.alloc(0)
  if (bytes.length === 64) return bytes
  throw refusal(
    'signature',
    'malformed',
    `${field} is not 64 bytes as hex or base64: sign the 64 hex characters of the digest with ed25519`,
  )
}

/** Whether the signature over the message holds under the key: strict rules (no ZIP215), noble and node:crypto agreeing. */
export function isSignatureValid(message: Uint8Array, signature: Uint8Array, key: PublicKey): boolean {
  return holdsByNode(message, signature, key) && holdsByNoble(message, signature, key)
}

/** What node:crypto said yes to, and nobody else yet. */
export interface Presumed {
  /** Answers the key under which both say yes; throws ReasonError `signature` where there is none. */
  confirm(): PublicKey
}

/** The first half of a verification, a fifth of a millisecond. Throws ReasonError `signature` where it says no. */
export function presumeSignature(digest: Digest, signature: Uint8Array, keys: readonly PublicKey[]): Presumed {
  return presumeMessage(Buffer.from(hexOf(digest), 'ascii'), digest, signature, keys)
}

/** The same for the signature of a development key, as it is written. */
export function presumeDevelopment(digest: Digest, text: string, field: string, keys: readonly PublicKey[]): Presumed {
  const signature = parseSignature(text.trim().slice(developmentPrefix.length), field)
  return presumeMessage(developmentMessage(digest), digest, signature, keys)
}

/** Answers the key under which the signature holds; throws ReasonError `signature` where there is none. */
export function verifySignature(digest: Digest, signature: Uint8Array, keys: readonly PublicKey[]): PublicKey {
  return presumeSignature(digest, signature, keys).confirm()
}

export function isDevelopmentSignature(text: string): boolean {
  return text.trim().startsWith(developmentPrefix)
}

function presumeMessage(
  message: Uint8Array,
  digest: Digest,
  signature: Uint8Array,
  keys: readonly PublicKey[],
): Presumed {
  const likely = keys.filter((one) => holdsByNode(message, signature, one))
  if (likely.length === 0) throw invalid(digest, keys)
  return {
    confirm() {
      const key = likely.find((one) => holdsByNoble(message, signature, one))
      if (key === undefined) throw invalid(digest, keys)
      return key
    },
  }
}

function holdsByNode(message: Uint8Array, signature: Uint8Array, { keyObject }: PublicKey): boolean {
  try {
    return verifyByNode(null, message, keyObject, signature)
  } catch {
    return false
  }
}

/** noble throws on what is malformed; and it refuses keys of small order each time, beside the policy of keys.ts. */
function holdsByNoble(message: Uint8Array, signature: Uint8Array, { raw }: PublicKey): boolean {
  try {
    return verifyByNoble(signature, message, raw, { zip215: false })
  } catch {
    return false
  }
}

function invalid(digest: Digest, keys: readonly PublicKey[]) {
  const ids = keys.map((one) => one.id).join(', ')
  return refusal(
    'signature',
    'invalid',
    `the signature does not hold for ${digest} under any key in force (${ids}): sign this digest with a key the pod trusts`,
  )
}
