// The private key that artifacts are signed with, as AETHER_SIGNING_KEY names it. It is never repeated.
import type { KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isDevelopmentKey, parseSigningKey } from '@aether/artifact/sign'
import { isPem, warnIfShared } from './config-file.ts'
import { errnoOf, Failure } from './failure.ts'
import type { Setting } from './settings.ts'

export async function loadSigningKey(
  { value, source }: Setting<string>,
  warn: (text: string) => void,
): Promise<KeyObject> {
  const pem = isPem(value) ? value : await readKeyFile(value, source, warn)
  if (isDevelopmentKey(pem))
    throw new Failure('config', `the signing key (${source}) is the one of aether dev, which signs no release`, {
      next: 'make a pair by aether keys generate, and name the file aether-signing.pem',
    })
  try {
    return parseSigningKey(pem)
  } catch (cause) {
    throw new Failure('config', `the signing key (${source}) is not an ed25519 private key in PEM`, {
      cause,
      next: 'make a pair by aether keys generate, and name the file aether-signing.pem',
    })
  }
}

async function readKeyFile(path: string, source: string, warn: (text: string) => void): Promise<string> {
  try {
    const text = await readFile(path, 'utf8')
    await warnIfShared(path, warn)
    return text
  } catch (cause) {
    // The value may be a key that lost its first line: only something that looks like a path is repeated.
    const shown = /^[\w./~-]{1,120}$/.test(path) && path.includes('.') ? ` ${path}` : ''
    throw new Failure(
      'config',
      `the signing key${shown} (${source}) cannot be read: ${errnoOf(cause) ?? 'no such file'}`,
      {
        next: 'write the path of a PEM file, or the PEM itself; aether keys generate makes a pair',
      },
    )
  }
}
