// For tests: pairs of keys in every form, and digests to sign.
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { digestFromHex } from '@aether/contract/digest'
import { type PublicKey, parsePublicKeys } from './keys.ts'

export function newPair() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const pem = publicKey.export({ type: 'spki', format: 'pem' })
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
  return { privateKey, pem, raw, hex: raw.toString('hex'), base64: raw.toString('base64') }
}

export function onlyKey(text: string): PublicKey {
  const [key, ...more] = parsePublicKeys(text, 'key')
  if (key === undefined || more.length > 0) throw new Error('not one key')
  return key
}

export function newDigest() {
  return digestFromHex(createHash('sha256').update(randomBytes(8)).digest('hex'))
}

/** What is signed. */
export const messageOf = (digest: string) => Buffer.from(digest.slice('sha256:'.length))
