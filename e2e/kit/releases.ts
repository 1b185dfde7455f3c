// Releases of an example: one version each, packed and signed as a developer would.
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packFolder } from '@aether/artifact/pack'
import { type SigningPair, signDigest } from '@aether/artifact/sign'
import { annotations } from '@aether/contract/annotations'
import type { Digest } from '@aether/contract/digest'
import { isObject } from '@aether/contract/json'

const hello = fileURLToPath(new URL('../../examples/hello', import.meta.url))

export interface Release {
  /** What its pods answer, trimmed. */
  readonly answer: string
  /** Of its artifact on the server. */
  readonly name: string
  readonly file: string
  readonly digest: Digest
  readonly signature: string
}

/** Packs version `version` of examples/hello into `folder`; `server` takes the place of its server.js. */
export function packRelease(folder: string, version: string, keys: SigningPair, server?: string): Promise<Release> {
  return packApp(hello, folder, version, keys, server)
}

/** The same for the app in the folder `app`, which answers `hello from VERSION` too. */
export async function packApp(
  app: string,
  folder: string,
  version: string,
  keys: SigningPair,
  server?: string,
): Promise<Release> {
  const tree = join(folder, `tree-${version}`)
  await cp(app, tree, { recursive: true })
  const manifest: unknown = JSON.parse(await readFile(join(tree, 'package.json'), 'utf8'))
  if (!isObject(manifest)) throw new Error(`${join(app, 'package.json')} is no JSON object`)
  await writeFile(join(tree, 'package.json'), `${JSON.stringify({ ...manifest, version }, null, 2)}\n`)
  if (server !== undefined) await writeFile(join(tree, 'server.js'), server)
  const name = `hello-${version}.tar.gz`
  const { file, digest } = await packFolder(tree, join(folder, name))
  return { answer: `hello from ${version}`, name, file, digest, signature: signDigest(digest, keys.privateKey) }
}

/** The three annotations that ask for a release. */
export function annotationsOf({ digest, signature }: Release, url: string): Record<string, string> {
  return {
    [annotations.digest]: digest,
    [annotations.artifactUrl]: url,
    [annotations.signature]: signature,
  }
}
