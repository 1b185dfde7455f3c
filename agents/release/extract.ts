// Stage 3. The artifact's bytes become a tree in staging, where no other container can look. Staged carries the proof
// that the digest held, so that nothing else can be activated.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '@aether/contract/digest'
import { releaseName, type VolumeLayout } from '@aether/contract/layout'
import { uniqueName } from '@aether/runtime/unique-name'
import type { Room } from './budget.ts'
import { toDiskError } from './disk-error.ts'
import type { ArtifactStream, Held } from './fetch.ts'
import { removeTree } from './remove-tree.ts'
import { createUnpacker, type Unpacked, type UnpackLimits } from './unpack.ts'

const staged = Symbol('staged')

export interface Staged extends Unpacked {
  readonly kind: 'archive'
  readonly folder: string
  readonly digest: Digest
  readonly held: Held
  readonly [staged]: true
}

/** Throws ReasonError `extract`, `disk_full`, `read_only`, or what the stream throws; then staging is as it was. */
export async function extractArtifact(
  stream: ArtifactStream,
  digest: Digest,
  layout: VolumeLayout,
  limits: UnpackLimits,
  room: Room,
): Promise<Staged> {
  const folder = join(layout.staging, `${releaseName(digest)}-${uniqueName()}`)
  const unpacker = createUnpacker(folder, limits, room)
  try {
    await mkdir(folder, { recursive: true, mode: 0o775 })
    const held = await stream.drain((chunk) => unpacker.write(chunk))
    const unpacked = await unpacker.end()
    return { kind: 'archive', ...unpacked, folder, digest: held.signed.target.digest, held, [staged]: true }
  } catch (error) {
    stream.cancel()
    unpacker.abandon()
    const reason = await toDiskError(error, layout.root) // asked while the volume is still as full as it was
    await removeTree(folder)
    throw reason
  }
}
