// Sends images to a registry: blobs, then manifests, then what points to them, and the name at last, so that nobody who
// asks by name finds half of it. What is there already is not sent again.
import type { Made } from './build.ts'
import type { Line } from './node-lines.ts'
import { type Document, digestOf, jsonDocument, mediaTypes } from './oci.ts'
import { type Referrer, type Registry, tagOf } from './registry.ts'
import { partsOf, sbomType } from './sbom.ts'

export const signatureType = 'application/vnd.aether.image.signature.v1'

export type Pushed = {
  readonly reference: string
  readonly digest: string
  readonly tags: readonly string[]
  readonly sentBytes: number
  readonly knownBytes: number
}

/** `prefix` is what stands between the host and the name of an image, such as `team/`. */
export async function pushImages(
  registry: Registry,
  prefix: string,
  made: readonly Made[],
  progress: (line: string) => void,
): Promise<Pushed[]> {
  // Where each blob is by now, for repositories of the same registry to share it.
  const places = new Map<string, string>()
  const pushed: Pushed[] = []
  for (const image of made) {
    const { packed } = image
    const { name, tag } = partsOf(packed.reference)
    const repository = `${prefix}${name}`
    progress(`pushing ${registry.host}/${repository}:${tag}`)
    let sentBytes = 0
    let knownBytes = 0
    for (const [digest, blob] of packed.blobs) {
      if (await registry.putBlob(repository, digest, blob, places.get(digest))) sentBytes += blob.size
      else knownBytes += blob.size
      places.set(digest, repository)
    }
    for (const platform of packed.platforms)
      await registry.putManifest(repository, platform.descriptor.digest, platform)
    await registry.putManifest(repository, packed.root.descriptor.digest, packed.root)
    for (const { descriptor } of packed.platforms) {
      const sbom = image.sboms.get(descriptor.digest)
      if (sbom !== undefined) await attach(registry, repository, descriptor, sbomType, Buffer.from(sbom))
    }
    if (image.signature !== undefined)
      await attach(registry, repository, packed.root.descriptor, signatureType, Buffer.from(`${image.signature}\n`))
    const tags = [tag, ...floatingTag(image.line)]
    for (const one of tags) await registry.putManifest(repository, one, packed.root)
    await holdAgainst(registry, repository, tags, packed.root)
    const reference = `${registry.host}/${repository}:${tag}`
    pushed.push({ reference, digest: packed.root.descriptor.digest, tags, sentBytes, knownBytes })
  }
  return pushed
}

/** What `FROM aether-nodejs:22-slim` asks for. */
const floatingTag = (line: Line | undefined) => (line === undefined ? [] : [`${line}-slim`])

/** Pulls what was pushed by its names: the registry has it under the same digest. */
async function holdAgainst(registry: Registry, repository: string, tags: readonly string[], { descriptor }: Document) {
  for (const tag of tags) {
    const found = await registry.getManifest(repository, tag)
    if (found?.descriptor.digest !== descriptor.digest)
      throw new Error(
        `${registry.host}/${repository}:${tag} is ${found?.descriptor.digest ?? 'not there'} after it was pushed as ${descriptor.digest}`,
      )
  }
}

/** An artifact whose subject is a manifest: https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage */
async function attach(
  registry: Registry,
  repository: string,
  subject: Document['descriptor'],
  artifactType: string,
  bytes: Uint8Array,
): Promise<void> {
  const nothing = Buffer.from('{}')
  const config = { mediaType: mediaTypes.empty, digest: digestOf(nothing), size: nothing.length }
  const layer = { mediaType: artifactType, digest: digestOf(bytes), size: bytes.length }
  await registry.putBlob(repository, config.digest, { size: nothing.length, from: nothing })
  await registry.putBlob(repository, layer.digest, { size: bytes.length, from: bytes })
  const manifest = jsonDocument(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType,
    config,
    layers: [layer],
    subject,
  })
  const isListed = await registry.putManifest(repository, manifest.descriptor.digest, manifest)
  if (isListed) return
  // The registry keeps no list: the client does, under a tag made of the digest.
  const others = (await registry.getReferrers(repository, subject.digest)).filter(
    ({ digest }) => digest !== manifest.descriptor.digest,
  )
  const manifests: Referrer[] = [...others, { ...manifest.descriptor, artifactType }]
  const index = jsonDocument(mediaTypes.index, { schemaVersion: 2, mediaType: mediaTypes.index, manifests })
  await registry.putManifest(repository, tagOf(subject.digest), index)
}
