// aether keys: the pair that releases are signed with, and telling control its public half.
import { chmod, mkdir, open, readFile, rm } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { createSigningPair } from '@aether/artifact/sign'
import { ReasonError } from '@aether/contract/reasons'
import { type PublicKey, parsePublicKeys } from '@aether/verifier/keys'
import type { CommandDefinition } from '../basics/command.ts'
import { errnoOf, Failure } from '../basics/failure.ts'
import { withControl } from '../control/connect.ts'
import type { Control } from '../control/control.ts'

export const keysGenerate: CommandDefinition = {
  usage: 'keys generate',
  summary: 'make a key pair to sign releases with',
  about:
    'Makes an ed25519 pair: aether-signing.pem signs and stays with you or your pipeline; aether-signing.pub.pem goes to ' +
    'control and, as a Secret, to the pods, which then run nothing else. Files that are there are never overwritten.',
  options: [['--out <folder>', 'where to write both files (default: here)']],
  examples: ['aether keys generate', 'aether keys generate --out ~/.config/aether'],
  async run({ flags, cwd, output }) {
    const folder = resolve(cwd, flags.text('out') ?? '.')
    const [secret, shared] = [join(folder, 'aether-signing.pem'), join(folder, 'aether-signing.pub.pem')]
    const pair = createSigningPair()
    await mkdir(folder, { recursive: true })
    await writeNew(secret, pair.privatePem, 0o600)
    await writeNew(shared, pair.publicPem, 0o644).catch(async (error: unknown) => {
      await rm(secret)
      throw error
    })
    output.line(`private key  ${secret}  (keep it out of git)`)
    output.line(`public key   ${shared}`)
    output.line()
    output.line('next:')
    output.line(`  export AETHER_SIGNING_KEY=${secret}`)
    output.line(`  aether apps create NAME --key ${shared}`)
    output.line(`  kubectl -n NAMESPACE create secret generic aether-keys --from-file=${shared}`)
    return { private_key: secret, public_key: shared }
  },
}

export const keysAdd: CommandDefinition = {
  usage: 'keys add <app> <file>',
  summary: 'let control trust a public key for an app',
  about:
    'Adds the public keys of a file (PEM, hex or base64) to the app. Control then takes artifacts signed by any of its keys ' +
    'and no others. To change keys, add the new one, sign anew, and then take the old one out of the Secret of the pods.',
  options: [
    [
      '--development',
      "it is what aether dev signs with (dev-signing.pub.pem): for control's development environments alone",
    ],
  ],
  examples: [
    'aether keys add shop aether-signing.pub.pem',
    'aether keys add shop ~/.config/aether/dev-signing.pub.pem --development',
    'aether keys add shop ci.pub.pem --url https://aether.example.com',
  ],
  async run(context) {
    const [app = '', file = ''] = context.args
    const keys = await loadPublicKeys(resolve(context.cwd, file))
    return withControl(context, async ({ control }) => {
      const isDevelopment = context.flags.isSet('development')
      const ids = await addKeys(control, app, keys, { file, isDevelopment })
      for (const id of ids) context.output.line(`${app} trusts ${isDevelopment ? 'development ' : ''}key ${id}`)
      return { app, keys: ids }
    })
  },
}

/** The keys of a file, each fit to be trusted. */
export async function loadPublicKeys(file: string): Promise<readonly PublicKey[]> {
  try {
    return parsePublicKeys(await readFile(file, 'utf8'), file)
  } catch (cause) {
    if (!(cause instanceof ReasonError)) throw cause
    throw new Failure('failed', cause.message, {
      cause,
      next: 'name the file of a public key, such as aether-signing.pub.pem',
    })
  }
}

export async function addKeys(
  control: Control,
  app: string,
  keys: readonly PublicKey[],
  { file, isDevelopment = false }: { readonly file: string; readonly isDevelopment?: boolean },
): Promise<readonly string[]> {
  const ids: string[] = []
  for (const { raw } of keys) {
    const key = { key: Buffer.from(raw).toString('hex'), comment: basename(file), isDevelopment }
    const { value } = await control.addKey(app, key)
    ids.push(value)
  }
  return ids
}

async function writeNew(file: string, text: string, mode: number): Promise<void> {
  try {
    const handle = await open(file, 'wx', mode)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await chmod(file, mode) // whatever the umask
  } catch (cause) {
    if (errnoOf(cause) !== 'EEXIST') throw cause
    throw new Failure('io', `${file} is there already`, {
      cause,
      next: 'use it, or name another folder by --out: a key is never overwritten',
    })
  }
}
