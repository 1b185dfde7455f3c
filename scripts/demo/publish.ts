// Packs, signs and publishes a folder, and annotates: what a pipeline does for each release.
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packFolder } from '@aether/artifact/pack'
import { parseSigningKey, signDigest } from '@aether/artifact/sign'
import { annotations } from '@aether/contract/annotations'
import { type Digest, hexOf } from '@aether/contract/digest'
import { formatPodinfo } from '@aether/contract/podinfo'
import type { DemoFolder } from './folder.ts'

export interface Published {
  readonly digest: Digest
  readonly signature: string
  readonly url: string
  readonly bytes: number
  readonly file: string
}

/** The artifact lies where the demo's server serves it, under the name of its digest. */
export async function publish(folder: DemoFolder): Promise<Published> {
  const packed = await packFolder(folder.app, join(folder.artifacts, 'packing.tar.gz'))
  const name = `${hexOf(packed.digest).slice(0, 16)}.tar.gz`
  const file = join(folder.artifacts, name)
  await rename(packed.file, file)
  const key = parseSigningKey(await readFile(folder.signingKey, 'utf8'))
  const server = (await readFile(folder.address, 'utf8')).trim()
  const { digest, bytes } = packed
  return { digest, bytes, file, signature: signDigest(digest, key), url: `${server}/${name}` }
}

/** As `kubectl annotate` and the kubelet do it: the file of the pod's annotations is swapped by a rename. */
export async function annotate(folder: DemoFolder, { digest, url, signature }: Published): Promise<void> {
  const text = formatPodinfo({
    [annotations.digest]: digest,
    [annotations.artifactUrl]: url,
    [annotations.signature]: signature,
  })
  const temporary = `${folder.annotations}.tmp`
  await writeFile(temporary, text)
  await rename(temporary, folder.annotations)
}
