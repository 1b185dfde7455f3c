// Where things lie on the two volumes that the containers of a pod share (docs/contract.md shows the tree).
import { type Digest, digestFromHex, hexOf, isDigest } from './digest.ts'

/** The volume of the releases, as the fetcher and init-fetch see it; the app is given `workspace` alone, read-only. */
export interface VolumeLayout {
  readonly root: string
  readonly workspace: string
  readonly releases: string
  /** What is not yet verified; no other container can look. */
  readonly staging: string
  /** One record a release: written before the release gets its name, so a release with no record is not trusted. */
  readonly complete: string
  /** What each release is made of, file by file (release/manifest.ts). */
  readonly manifests: string
  /** The folder objects of each release that is a tree (release/tree-store.ts). */
  readonly trees: string
  /** A clone of the release that serves, by hard links, to be changed into the next one (release/standby.ts). */
  readonly standby: string
  readonly state: string
  /** Folder of the sockets by which one writer at a time is found (release/lock.ts). */
  readonly lock: string
  /** Where the kernel says which boot this is; not of the volume. */
  readonly bootId: string
}

export function layoutOf(root: string, bootId = '/proc/sys/kernel/random/boot_id'): VolumeLayout {
  const base = root.replace(/\/+$/, '')
  const workspace = `${base}/workspace`
  return {
    root,
    workspace,
    releases: `${workspace}/releases`,
    staging: `${base}/staging`,
    complete: `${base}/complete`,
    manifests: `${base}/manifests`,
    trees: `${base}/trees`,
    standby: `${base}/standby`,
    state: `${base}/state.json`,
    lock: `${base}/lock`,
    bootId,
  }
}

/** Inside `workspace`, for whoever has it mounted. */
export const workspaceNames = { current: 'current', activation: 'activation.json', releases: 'releases' } as const

/** Inside the run folder (a memory volume), written by the supervisor alone. */
export const supervisorStateName = 'supervisor.json'

/** Inside a release: V8's compile cache of it, where its packer made one. */
export const compileCachePath = '.aether/compile-cache'

export function releaseName(digest: Digest): string {
  return `sha256-${hexOf(digest)}`
}

/** The digest of a release's folder name; `undefined` where it is no such name. */
export function digestOfReleaseName(name: string): Digest | undefined {
  const hex = name.startsWith('sha256-') ? name.slice('sha256-'.length) : ''
  return isDigest(`sha256:${hex}`) ? digestFromHex(hex) : undefined
}

/** What `current` points to: relative, so that it resolves under every mount of the workspace. */
export function currentLinkTarget(digest: Digest): string {
  return `${workspaceNames.releases}/${releaseName(digest)}`
}
