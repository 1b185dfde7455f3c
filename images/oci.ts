// An OCI image archive: the image layout of the OCI image spec v1.1, in a tar that `ctr images import`, `podman load`,
// `docker load` (25 and newer) and `skopeo copy oci-archive:` take. No engine is asked for anything.
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileEntry, type Layer, tarBytes, textEntry } from './layer.ts'

export type Architecture = 'amd64' | 'arm64'

export type Image = {
  /** The whole name, for example `aether.local/aether-agent:dev`. */
  readonly reference: string
  readonly architecture: Architecture
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly user: string
  readonly workingDir: string
  /** What ends it, where that is not SIGTERM. */
  readonly stopSignal?: string
  readonly labels: Readonly<Record<string, string>>
  readonly layers: readonly Layer[]
}

/** What was written; `digest` is the manifest's, which is what a cluster pins. */
export type Written = {
  readonly reference: string
  readonly digest: string
  readonly bytes: number
  readonly unpackedBytes: number
  readonly file: string
}

export async function writeArchive(image: Image, file: string, epoch: number): Promise<Written> {
  const created = new Date(epoch * 1000).toISOString().replace('.000Z', 'Z')
  const config = jsonBlob('application/vnd.oci.image.config.v1+json', {
    created,
    architecture: image.architecture,
    os: 'linux',
    config: {
      User: image.user,
      Env: Object.entries(image.env).map(([name, value]) => `${name}=${value}`),
      ...(image.entrypoint.length > 0 && { Entrypoint: image.entrypoint }),
      ...(image.command.length > 0 && { Cmd: image.command }),
      WorkingDir: image.workingDir,
      ...(image.stopSignal !== undefined && { StopSignal: image.stopSignal }),
      Labels: { ...image.labels, 'org.opencontainers.image.created': created },
    },
    rootfs: { type: 'layers', diff_ids: image.layers.map((layer) => layer.diffId) },
    history: image.layers.map(() => ({ created, created_by: 'aether images' })),
  })
  const manifest = jsonBlob('application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: config.descriptor,
    layers: image.layers.map((layer) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest: layer.digest,
      size: layer.bytes,
    })),
  })
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        ...manifest.descriptor,
        platform: { architecture: image.architecture, os: 'linux' },
        // containerd names the image by the first, everything else by the second.
        annotations: {
          'io.containerd.image.name': image.reference,
          'org.opencontainers.image.ref.name': image.reference,
        },
      },
    ],
  }
  const blobs = new Map<string, string | Uint8Array>([
    [config.descriptor.digest, config.bytes],
    [manifest.descriptor.digest, manifest.bytes],
    ...image.layers.map((layer): [string, string] => [layer.digest, layer.file]),
  ])
  const entries = [
    textEntry('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' })),
    textEntry('index.json', JSON.stringify(index)),
    ...[...blobs].map(([digest, from]) => fileEntry(`blobs/${digest.replace(':', '/')}`, from)),
  ]
  await mkdir(dirname(file), { recursive: true })
  await pipeline(Readable.from(tarBytes(entries, epoch)), createWriteStream(`${file}.part`))
  await rename(`${file}.part`, file)
  return {
    reference: image.reference,
    digest: manifest.descriptor.digest,
    bytes: image.layers.reduce((sum, layer) => sum + layer.bytes, 0),
    unpackedBytes: image.layers.reduce((sum, layer) => sum + layer.unpackedBytes, 0),
    file,
  }
}

function jsonBlob(mediaType: string, content: unknown) {
  const bytes = Buffer.from(JSON.stringify(content))
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  return { bytes, descriptor: { mediaType, digest, size: bytes.length } }
}
