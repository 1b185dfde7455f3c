// OCI images, and archives of them: the image layout of the OCI image spec v1.1, in a tar that `ctr images import`,
// `podman load`, `docker load` (25 and newer) and `skopeo copy oci-archive:` take. No engine is asked for anything.
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileEntry, type Layer, tarBytes, textEntry } from './layer.ts'

export type Architecture = 'amd64' | 'arm64'

/** https://github.com/opencontainers/image-spec/blob/main/media-types.md */
export const mediaTypes = {
  config: 'application/vnd.oci.image.config.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  empty: 'application/vnd.oci.empty.v1+json',
} as const

export type Image = {
  /** The whole name, for example `aether.local/aether-agent:dev`. */
  readonly reference: string
  readonly architecture: Architecture
  /** An RFC 3339 time: part of the digest. */
  readonly created: string
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly user: string
  readonly workingDir: string
  /** What ends it, where that is not SIGTERM. */
  readonly stopSignal?: string
  /** `org.opencontainers.image.*`: labels of the configuration too, which engines show. */
  readonly annotations: Readonly<Record<string, string>>
  readonly layers: readonly Layer[]
}

export type Descriptor = { readonly mediaType: string; readonly digest: string; readonly size: number }

/** A manifest or an index, and its bytes. */
export type Document = { readonly descriptor: Descriptor; readonly bytes: Uint8Array }

/** An image as a registry keeps it; `root` is what a name points to: the manifest, or the index of several. */
export type Packed = {
  readonly reference: string
  readonly root: Document
  readonly platforms: readonly (Document & { readonly architecture: Architecture; readonly layers: readonly Layer[] })[]
  /** Configurations and layers by digest: the bytes, or the file that has them. */
  readonly blobs: ReadonlyMap<string, { readonly size: number; readonly from: string | Uint8Array }>
}

/** The same image for one or more architectures, the first of which gives the name and the annotations of the whole. */
export function packImage([first, ...others]: readonly [Image, ...Image[]]): Packed {
  const blobs = new Map<string, { size: number; from: string | Uint8Array }>()
  const platforms = [first, ...others].map((image) => {
    const config = jsonDocument(mediaTypes.config, configOf(image))
    blobs.set(config.descriptor.digest, { size: config.bytes.length, from: config.bytes })
    for (const layer of image.layers) blobs.set(layer.digest, { size: layer.bytes, from: layer.file })
    const manifest = jsonDocument(mediaTypes.manifest, {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: config.descriptor,
      layers: image.layers.map(({ digest, bytes }) => ({ mediaType: mediaTypes.layer, digest, size: bytes })),
      annotations: annotationsOf(image),
    })
    return { ...manifest, architecture: image.architecture, layers: image.layers }
  })
  const index = jsonDocument(mediaTypes.index, {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: platforms.map(withPlatform),
    annotations: annotationsOf(first),
  })
  const [only, ...more] = platforms
  return { reference: first.reference, root: only === undefined || more.length > 0 ? index : only, platforms, blobs }
}

const annotationsOf = ({ annotations, created }: Image) => ({
  ...annotations,
  'org.opencontainers.image.created': created,
})

const withPlatform = ({ descriptor, architecture }: Packed['platforms'][number]) => ({
  ...descriptor,
  platform: { architecture, os: 'linux' },
})

function configOf(image: Image) {
  return {
    created: image.created,
    architecture: image.architecture,
    os: 'linux',
    config: {
      User: image.user,
      Env: Object.entries(image.env).map(([name, value]) => `${name}=${value}`),
      ...(image.entrypoint.length > 0 && { Entrypoint: image.entrypoint }),
      ...(image.command.length > 0 && { Cmd: image.command }),
      WorkingDir: image.workingDir,
      ...(image.stopSignal !== undefined && { StopSignal: image.stopSignal }),
      Labels: annotationsOf(image),
    },
    rootfs: { type: 'layers', diff_ids: image.layers.map((layer) => layer.diffId) },
    history: image.layers.map(() => ({ created: image.created, created_by: 'aether images' })),
  }
}

/** Writes the archive. Its root stands in index.json under the name of the image. */
export async function writeArchive(packed: Packed, file: string, epoch: number): Promise<void> {
  const { root, platforms, reference } = packed
  // containerd names the image by the first, everything else by the second.
  const annotations = {
    'io.containerd.image.name': reference,
    'org.opencontainers.image.ref.name': reference,
  }
  const [only] = platforms
  const named = only?.descriptor.digest === root.descriptor.digest ? withPlatform(only) : root.descriptor
  const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [{ ...named, annotations }] }
  const blobs = new Map<string, string | Uint8Array>([
    ...[root, ...platforms].map(({ descriptor, bytes }): [string, Uint8Array] => [descriptor.digest, bytes]),
    ...[...packed.blobs].map(([digest, { from }]): [string, string | Uint8Array] => [digest, from]),
  ])
  const entries = [
    textEntry('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' })),
    textEntry('index.json', JSON.stringify(index)),
    ...[...blobs].map(([digest, from]) => fileEntry(`blobs/${digest.replace(':', '/')}`, from)),
  ]
  await mkdir(dirname(file), { recursive: true })
  await pipeline(Readable.from(tarBytes(entries, epoch)), createWriteStream(`${file}.part`))
  await rename(`${file}.part`, file)
}

export function jsonDocument(mediaType: string, content: unknown): Document {
  const bytes = Buffer.from(JSON.stringify(content))
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } }
}

export const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
