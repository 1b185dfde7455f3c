// What was built, as a table for a person or as JSON.
import type { Made } from './build.ts'
import type { Layer } from './layer.ts'
import type { Pushed } from './push.ts'
import { formatTable } from './table.ts'

const sum = (layers: readonly Layer[], key: 'bytes' | 'unpackedBytes') =>
  layers.reduce((total, layer) => total + layer[key], 0)

/** A row for each image and architecture; `digest` is what a cluster pins, of the index where there are several. */
export function rowsOf(made: readonly Made[]) {
  return made.flatMap(({ packed, file, signature }) =>
    packed.platforms.map(({ architecture, descriptor, layers }) => ({
      reference: packed.reference,
      architecture,
      digest: packed.root.descriptor.digest,
      manifest: descriptor.digest,
      bytes: sum(layers, 'bytes'),
      unpackedBytes: sum(layers, 'unpackedBytes'),
      /** What a new build of it costs a node that has the one before. */
      ownBytes: layers.at(-1)?.bytes ?? 0,
      layers: layers.map((layer) => ({ digest: layer.digest, bytes: layer.bytes, unpackedBytes: layer.unpackedBytes })),
      file,
      isSigned: signature !== undefined,
    })),
  )
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1)

export function formatMade(made: readonly Made[]): string {
  const rows = rowsOf(made).map((row) => [
    row.reference,
    row.architecture,
    row.digest.slice(0, 'sha256:'.length + 12),
    megabytes(row.unpackedBytes),
    megabytes(row.bytes),
    megabytes(row.ownBytes),
    row.file,
  ])
  return formatTable(['image', 'arch', 'digest', 'unpacked MB', 'gzip MB', 'last layer', 'file'], rows)
}

export function formatPushed(pushed: readonly Pushed[]): string {
  const rows = pushed.map((one) => [
    one.reference,
    one.digest,
    megabytes(one.sentBytes),
    megabytes(one.knownBytes),
    one.tags.join(', '),
  ])
  return formatTable(['pushed', 'digest', 'sent MB', 'there already MB', 'tags'], rows)
}
