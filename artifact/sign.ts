// A key pair, and the plain signature that annotations carry: ed25519 over the 64 hex characters of the digest.
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { developmentMessage, developmentPrefix } from '@aether/contract/development'
import { type Digest, hexOf } from '@aether/contract/digest'

export interface SigningPair {
  readonly privateKey: KeyObject
  /** PEM, for AETHER_PUBKEY or a mounted Secret. */
  readonly publicPem: string
  readonly privatePem: string
}

export function createSigningPair(): SigningPair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    privateKey,
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }),
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  }
}

/** Throws where the text is no ed25519 private key in PEM; the key itself is never repeated. */
export function parseSigningKey(pem: string): KeyObject {
  const key = createPrivateKey(pem)
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('the signing key is not an ed25519 private key in PEM')
  return key
}

/** 128 hex characters. */
export function signDigest(digest: Digest, key: KeyObject): string {
  return sign(null, Buffer.from(hexOf(digest), 'ascii'), key).toString('hex')
}

// A label of its own, so that no other tool, and no AETHER_SIGNING_KEY, takes it for the key of a release.
const developmentLabel = 'AETHER DEVELOPMENT KEY'

export function isDevelopmentKey(pem: string): boolean {
  return pem.includes(`-----BEGIN ${developmentLabel}-----`)
}

/** A pair whose private half signs for development only. */
export function createDevelopmentPair(): SigningPair {
  const pair = createSigningPair()
  return { ...pair, privatePem: pair.privatePem.replaceAll(' PRIVATE KEY-----', ` ${developmentLabel}-----`) }
}

/** Throws where the text is no development key; the key itself is never repeated. */
export function parseDevelopmentKey(pem: string): KeyObject {
  if (!isDevelopmentKey(pem)) throw new TypeError('it is not a development key')
  return parseSigningKey(pem.replaceAll(` ${developmentLabel}-----`, ' PRIVATE KEY-----'))
}

/** The prefix and 128 hex characters. */
export function signForDevelopment(digest: Digest, key: KeyObject): string {
  return developmentPrefix + sign(null, developmentMessage(digest), key).toString('hex')
}
