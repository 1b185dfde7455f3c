// The signature of an image: ours, ed25519 over the 64 hex characters of its digest, as `ed25519-verify` takes it.
import type { KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parseSigningKey, signDigest } from '@aether/artifact/sign'
import { parseDigest } from '@aether/contract/digest'

/** From AETHER_SIGNING_KEY: PEM, or the path of its file; undefined where it is not set. */
export async function loadSigningKey(setting: string | undefined): Promise<KeyObject | undefined> {
  if (setting === undefined || setting === '') return undefined
  try {
    return parseSigningKey(setting.includes('-----BEGIN') ? setting : await readFile(setting, 'utf8'))
  } catch (error) {
    throw new Error(
      'AETHER_SIGNING_KEY must be an ed25519 private key in PEM, or the path of its file: see aether keys',
      {
        cause: error,
      },
    )
  }
}

export const signImage = (digest: string, key: KeyObject): string => signDigest(parseDigest(digest), key)
