// The app's two releases as artifacts on the server, signed.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { packFolder } from '@aether/artifact/pack'
import { type SigningPair, signDigest } from '@aether/artifact/sign'
import type { Digest } from '@aether/contract/digest'
import { type App, makeVersion, versions } from './apps.ts'

export interface Release {
  readonly version: string
  /** Its path on the server. */
  readonly name: string
  readonly digest: Digest
  readonly signature: string
}

/** `served` is the folder of the artifact server. */
export async function packReleases(app: App, served: string, keys: SigningPair): Promise<readonly Release[]> {
  const releases: Release[] = []
  for (const version of versions) {
    const name = `${app.name}-${version}.tar.gz`
    const tree = join(served, `${app.name}-tree`)
    await makeVersion(app, tree, version)
    const { digest } = await packFolder(tree, join(served, name))
    await rm(tree, { recursive: true })
    releases.push({ version, name, digest, signature: signDigest(digest, keys.privateKey) })
  }
  return releases
}
