// What `aether dev` signs with: the key of AETHER_SIGNING_KEY, or a development key of its own, made once. Production refuses what
// the latter signs (docs/adr/0020-development-key.md).
import { createPublicKey } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createDevelopmentPair, parseDevelopmentKey, signDigest, signForDevelopment } from '@aether/artifact/sign'
import type { Digest } from '@aether/contract/digest'
import { warnIfShared } from './config-file.ts'
import { errnoOf, Failure } from './failure.ts'
import { type Env, type Settings, userFolder } from './settings.ts'
import { loadSigningKey } from './signing.ts'

export interface DevSigner {
  /** As in the annotation. */
  sign(digest: Digest): string
  /** PEM. */
  readonly publicPem: string
}

export async function loadDevSigner(
  { signingKey }: Pick<Settings, 'signingKey'>,
  env: Env,
  warn: (text: string) => void,
): Promise<DevSigner> {
  const isOwn = signingKey === undefined
  const key = isOwn ? await loadOwn(env, warn) : await loadSigningKey(signingKey, warn)
  const publicPem = createPublicKey(key).export({ type: 'spki', format: 'pem' })
  return { publicPem, sign: (digest) => (isOwn ? signForDevelopment : signDigest)(digest, key) }
}

async function loadOwn(env: Env, warn: (text: string) => void) {
  const file = join(userFolder(env), 'dev-signing.pem')
  const pem = await readFile(file, 'utf8').catch(async (error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error
    return makeOwn(file)
  })
  await warnIfShared(file, warn)
  try {
    return parseDevelopmentKey(pem)
  } catch (cause) {
    throw new Failure('config', `${file} is not a development key`, {
      cause,
      next: 'take it away: aether dev makes another one',
    })
  }
}

async function makeOwn(file: string): Promise<string> {
  const { privatePem, publicPem } = createDevelopmentPair()
  await mkdir(join(file, '..'), { recursive: true, mode: 0o700 })
  try {
    await writeFile(file, privatePem, { mode: 0o600, flag: 'wx' })
    await writeFile(file.replace(/\.pem$/, '.pub.pem'), publicPem)
    return privatePem
  } catch (error) {
    // Another start was first.
    if (errnoOf(error) !== 'EEXIST') throw error
    return readFile(file, 'utf8')
  }
}
