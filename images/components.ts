// What of others is in an image, by the names that scanners look for: a package URL, https://github.com/package-url/purl-spec
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

export type Component = {
  readonly type: 'library' | 'application' | 'operating-system'
  readonly name: string
  readonly version: string
  readonly purl?: string
  readonly cpe?: string
  /** An SPDX expression, where its maker states one. */
  readonly license?: string
  /** The Debian source package: what security notices name. */
  readonly source?: string
  readonly architecture?: string
}

/** A distribution by its /etc/os-release. */
export type Distribution = { readonly id: string; readonly version: string }

export async function readDistribution(sysroot: string): Promise<Distribution> {
  const text = await readFile(join(sysroot, 'usr/lib/os-release'), 'utf8')
  const field = (name: string) => new RegExp(`^${name}="?([^"\\n]+)"?$`, 'm').exec(text)?.[1]
  // Debian's testing has no VERSION_ID.
  return { id: field('ID') ?? 'debian', version: field('VERSION_ID') ?? field('VERSION_CODENAME') ?? 'unknown' }
}

export const systemComponent = ({ id, version }: Distribution): Component => ({
  type: 'operating-system',
  name: id,
  version,
})

/** From the control file of a Debian package. */
export function debianComponent(control: string, { id, version: release }: Distribution): Component {
  const field = (name: string) => new RegExp(`^${name}: (.+)$`, 'm').exec(control)?.[1]
  const name = field('Package')
  const version = field('Version')
  const architecture = field('Architecture')
  if (name === undefined || version === undefined || architecture === undefined)
    throw new Error(
      `a Debian control file names no package, version or architecture: ${JSON.stringify(control.slice(0, 80))}`,
    )
  return {
    type: 'library',
    name,
    version,
    architecture,
    source: (field('Source') ?? name).replace(/ .*/, ''),
    purl: `pkg:deb/${id}/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}&distro=${id}-${release}`,
  }
}

export const nodeComponent = (version: string): Component => ({
  type: 'application',
  name: 'node',
  version,
  license: 'MIT',
  purl: `pkg:generic/node@${version}`,
  cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:-:*:*:*`,
})

export const npmComponent = (name: string, version: string, license: string | undefined): Component => ({
  type: 'library',
  name,
  version,
  ...(license !== undefined && { license }),
  purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
})

/** Sorted by package URL, each once. */
export function uniqueComponents(components: readonly Component[]): Component[] {
  const all = new Map(components.map((one) => [one.purl ?? `${one.name}@${one.version}`, one]))
  return [...all].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one)
}
