// sha256 of an artifact's bytes: `sha256:<64 lowercase hex>`. Only parseDigest and formatDigest make the type.
import { refusal } from './reasons.ts'

declare const brand: unique symbol
export type Digest = string & { readonly [brand]: 'Digest' }

export function isDigest(text: string): text is Digest {
  return /^sha256:[0-9a-f]{64}$/.test(text)
}

/** Parses `sha256:<64 lowercase hex>`; `field` is named in the error. */
export function parseDigest(text: string, field = 'digest'): Digest {
  const trimmed = text.trim()
  if (isDigest(trimmed)) return trimmed
  throw refusal(
    'target',
    'digest_malformed',
    `${field} is ${JSON.stringify(shorten(text))}: write sha256: and 64 lowercase hex characters, as sha256sum prints them`,
  )
}

/** The digest whose hex characters these are. */
export function digestFromHex(hex: string, field = 'digest'): Digest {
  return parseDigest(`sha256:${hex}`, field)
}

/** The 64 hex characters: what is signed, and what markers show. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 80)}...`
}
