// Public keys: from text to a key that may be trusted. The policy holds wherever a key comes from: 32 bytes,
// canonical (RFC 8032 5.1.3), not of small order, free of torsion. Under a key that breaks it libraries take forgeries
// (node:crypto with OpenSSL 3.0, noble by its default), whatever they do in their newest version.
import { createPublicKey, type KeyObject } from 'node:crypto'
import { refusal } from '@aether/contract/reasons'
import { Point } from '@noble/ed25519'
import { sha256 } from '@noble/hashes/sha2.js'

const trusted = Symbol('public key')

export interface PublicKey {
  /** First 16 hex characters of the sha256 of the 32 bytes: for logs. */
  readonly id: string
  readonly raw: Uint8Array
  readonly keyObject: KeyObject
  readonly [trusted]: true
}

/** Parses one or several keys: hex or base64 separated by commas or white space, or PEM blocks. Throws ReasonError `key`. */
export function parsePublicKeys(text: string, field: string): readonly PublicKey[] {
  if (text.includes('PRIVATE KEY-----'))
    throw refusal('key', 'malformed', `${field} holds a private key: give the public one, and make a new pair`)
  const pem = text.match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g)
  if (pem !== null) return pem.map((block) => trustKey(rawOfPem(block, field), field))
  const words = text.split(/[\s,]+/).filter((word) => word !== '')
  if (words.length === 0)
    throw refusal('key', 'missing', `${field} is empty: give an ed25519 public key as hex, base64 or PEM`)
  return words.map((word) => trustKey(rawOfWord(word, field), field))
}

/** Keys that were found good: they are read again at each use, and the order of a point takes milliseconds. */
const known = new Map<string, PublicKey>()
const mostKnown = 64

function trustKey(raw: Uint8Array, field: string): PublicKey {
  const name = Buffer.from(raw).toString('hex')
  const key = known.get(name) ?? checkKey(raw, field)
  if (known.size >= mostKnown) known.clear()
  known.set(name, key)
  return key
}

function checkKey(raw: Uint8Array, field: string): PublicKey {
  if (raw.length !== 32)
    throw refusal('key', 'length', `${field} holds a key of ${raw.length} bytes: an ed25519 public key has 32`)
  let point: Point
  try {
    point = Point.fromBytes(raw, false)
  } catch (cause) {
    throw refusal('key', 'malformed', `${field} holds 32 bytes that are no point of the curve in canonical form`, {
      cause,
    })
  }
  if (!Buffer.from(point.toBytes()).equals(raw))
    throw refusal('key', 'malformed', `${field} holds a key in a form that is not canonical`)
  if (point.isSmallOrder() || !point.isTorsionFree())
    throw refusal(
      'key',
      'weak',
      `${field} holds a key of small or mixed order, under which forgeries hold: make a new pair`,
    )
  const x = Buffer.from(raw).toString('base64url')
  return {
    id: Buffer.from(sha256(raw)).toString('hex').slice(0, 16),
    raw,
    keyObject: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }),
    [trusted]: true,
  }
}

function rawOfPem(block: string, field: string): Uint8Array {
  try {
    const key = createPublicKey(block)
    const { x } = key.export({ format: 'jwk' })
    if (key.asymmetricKeyType === 'ed25519' && x !== undefined) return Buffer.from(x, 'base64url')
  } catch (cause) {
    throw refusal('key', 'malformed', `${field} holds a PEM block that is no public key`, { cause })
  }
  throw refusal('key', 'malformed', `${field} holds a PEM key that is not ed25519`)
}

function rawOfWord(word: string, field: string): Uint8Array {
  if (/^(?:[0-9a-fA-F]{2})+$/.test(word)) return Buffer.from(word, 'hex')
  if (/^[A-Za-z0-9+/_-]+={0,2}$/.test(word)) return Buffer.from(word, 'base64')
  throw refusal('key', 'malformed', `${field} is neither hex, base64 or PEM, nor a path that begins with / or ./`)
}
