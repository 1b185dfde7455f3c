// The settings of a refresh, and of the control service that it may fetch from, read the same way by init-fetch and fetcher.
import { layoutOf } from '@aether/contract/layout'
import type { ConfigReader } from '@aether/runtime/config'
import type { ControlSettings } from '@aether/runtime/control-token'
import { openKeyring } from '@aether/verifier/open-keyring'
import { addressChoices, parseOrigins } from './origins.ts'
import { readProxies } from './proxies.ts'
import type { RefreshOptions } from './refresh.ts'

const mebibyte = 1024 * 1024

/** Rejects with ReasonError `key` at once where AETHER_PUBKEY is a key that may not be trusted. */
export async function readRefreshOptions(
  read: ConfigReader,
  control: ControlSettings | undefined,
): Promise<RefreshOptions> {
  const root = read.text('AETHER_DATA_DIR', '/var/lib/aether', 'The volume of the releases.')
  const pubkey = read.optionalText(
    'AETHER_PUBKEY',
    'ed25519 public key(s) as hex, base64 or PEM, or the path (/... or ./...) of a file or folder of keys, read at each refresh.',
  )
  return {
    layout: layoutOf(root),
    policy: {
      requireSignature: read.boolean(
        'AETHER_REQUIRE_SIGNATURE',
        true,
        'false takes targets without a signature too, with a warning each time: for development.',
      ),
      takesDevelopment: read.boolean(
        'AETHER_DEVELOPMENT_SIGNATURES',
        false,
        'true takes signatures of development keys too; never in production.',
      ),
      keyring: pubkey === undefined ? undefined : await openKeyring(pubkey, 'AETHER_PUBKEY'),
    },
    sources: {
      origins:
        read.parsed(
          'AETHER_ARTIFACT_ORIGINS',
          'ORIGIN,...',
          parseOrigins,
          'The only servers that artifacts come from, beside control; without it, any whose address is allowed.',
        ) ?? new Set(),
      controlOrigin: control && new URL(control.url).origin,
      addresses: read.choice(
        'AETHER_ARTIFACT_ADDRESSES',
        addressChoices,
        'private',
        'Addresses of servers that are not listed: public alone; private too; any, with loopback, link-local and metadata.',
      ),
      proxies: readProxies(read),
    },
    limits: {
      maxArtifactBytes: read.integer(
        'AETHER_MAX_ARTIFACT_BYTES',
        1024 * mebibyte,
        range(1),
        'Largest artifact, packed.',
      ),
      maxUnpackedBytes: read.integer(
        'AETHER_MAX_UNPACKED_BYTES',
        4096 * mebibyte,
        range(1),
        'Largest release, unpacked.',
      ),
      maxEntries: read.integer('AETHER_MAX_ENTRIES', 200_000, range(1), 'Most files, folders and links in a release.'),
      maxDepth: read.integer('AETHER_MAX_DEPTH', 64, { min: 1, max: 1000 }, 'Deepest nesting of folders in a release.'),
      maxPathBytes: read.integer(
        'AETHER_MAX_PATH_BYTES',
        3500,
        { min: 1, max: 3500 }, // PATH_MAX is 4096, and the path of staging comes before
        'Longest path, or target of a symlink, in a release.',
      ),
      maxMetadataBytes: read.integer(
        'AETHER_MAX_METADATA_BYTES',
        256 * mebibyte,
        range(1),
        'Most bytes of PAX and GNU headers in an archive, together.',
      ),
      maxUnpackRatio: read.integer(
        'AETHER_MAX_UNPACK_RATIO',
        200,
        range(1),
        'Most bytes of archive to a byte of artifact, once 64 MiB are unpacked.',
      ),
      refuseCollisions: read.boolean(
        'AETHER_REFUSE_NAME_COLLISIONS',
        false,
        'true refuses a release with names that differ only in case or Unicode form.',
      ),
      maxWorkspaceBytes: read.integer(
        'AETHER_WORKSPACE_MAX_BYTES',
        0,
        range(0),
        'Most bytes of all releases together, unpacked; old ones go first. 0 is no limit of our own.',
      ),
      minFreeBytes: read.integer(
        'AETHER_MIN_FREE_BYTES',
        64 * mebibyte,
        range(0),
        'Bytes of the volume that a new release leaves free; old ones go first. 0 is none.',
      ),
      idleMs: read.integer('AETHER_DOWNLOAD_IDLE_MS', 30_000, range(1), 'Longest silence of the artifact server.'),
      minBytesPerSec: read.integer(
        'AETHER_DOWNLOAD_MIN_BYTES_PER_SEC',
        1024,
        range(0),
        'Least rate of the artifact server over half a minute of waiting for it; 0 is none.',
      ),
      rateWindowMs: 30_000,
      totalMs: read.integer('AETHER_DOWNLOAD_TOTAL_MS', 600_000, range(1), 'Longest time for a whole artifact.'),
    },
  }
}

/** Where control is, and the token for it and for the artifacts that it serves; `undefined` where there is none. */
export function readControlSettings(read: ConfigReader): ControlSettings | undefined {
  const url = read.optionalUrl('AETHER_CONTROL_URL', 'The control service; without it none is asked or told anything.')
  const tokenFile = read.text(
    'AETHER_CONTROL_TOKEN_FILE',
    '/var/run/secrets/aether/token',
    'Service-account token for control, read at each use; sent to the origin of AETHER_CONTROL_URL and nowhere else.',
  )
  return url === undefined ? undefined : { url, tokenFile }
}

function range(min: number) {
  return { min, max: Number.MAX_SAFE_INTEGER }
}
