// What `aether dev` signs with: the key of AETHER_SIGNING_KEY, or a development key of its own, made once. Production refuses what
// the latter signs (docs/adr/0020-development-key.md), and a control takes it where it knows the key as one of that kind.
import { createPublicKey, type KeyObject } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createDevelopmentPair, parseDevelopmentKey, signDigest, signForDevelopment } from '@aether/artifact/sign'
import type { Digest } from '@aether/contract/digest'
import { parsePublicKeys } from '@aether/verifier/keys'
import { warnIfShared } from '../basics/config-file.ts'
import { errnoOf, Failure } from '../basics/failure.ts'
import { type Env, type Settings, userFolder } from '../basics/settings.ts'
import { loadSigningKey } from '../basics/signing.ts'
import type { Control } from '../control/control.ts'

export interface DevSigner {
  /** As in the annotation. */
  sign(digest: Digest): string
  /** PEM. */
  readonly publicPem: string
  /** The development key; undefined where it is the one of AETHER_SIGNING_KEY. */
  readonly own: { readonly publicFile: string } | undefined
}

export async function loadDevSigner(
  { signingKey }: Pick<Settings, 'signingKey'>,
  env: Env,
  warn: (text: string) => void,
): Promise<DevSigner> {
  if (signingKey !== undefined) {
    const key = await loadSigningKey(signingKey, warn)
    return { publicPem: publicPemOf(key), own: undefined, sign: (digest) => signDigest(digest, key) }
  }
  const file = join(userFolder(env), 'dev-signing.pem')
  const key = await loadOwn(file, warn)
  const own = { publicFile: publicFileOf(file) }
  return { publicPem: publicPemOf(key), own, sign: (digest) => signForDevelopment(digest, key) }
}

/** For an app of a control; undefined, after a warning, where nothing is signed since control would not know the key. */
export async function chooseDevSigner(
  control: Pick<Control, 'listKeys'>,
  app: string,
  signer: DevSigner,
  warn: (text: string) => void,
): Promise<DevSigner | undefined> {
  const { own, publicPem } = signer
  if (own === undefined) return signer
  const ids = parsePublicKeys(publicPem, own.publicFile).map(({ id }) => id)
  const keys = await control.listKeys(app)
  if (keys.some(({ value }) => value.isDevelopment && ids.includes(value.id))) return signer
  warn(
    `${app} does not know the development key of this machine: the releases are not signed ` +
      `(aether keys add ${app} ${own.publicFile} --development adds it, AETHER_SIGNING_KEY names another)`,
  )
  return undefined
}

function publicPemOf(key: KeyObject): string {
  return createPublicKey(key).export({ type: 'spki', format: 'pem' })
}

function publicFileOf(file: string): string {
  return file.replace(/\.pem$/, '.pub.pem')
}

async function loadOwn(file: string, warn: (text: string) => void): Promise<KeyObject> {
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
    await writeFile(publicFileOf(file), publicPem)
    return privatePem
  } catch (error) {
    // Another start was first.
    if (errnoOf(error) !== 'EEXIST') throw error
    return readFile(file, 'utf8')
  }
}
