// `npm run images -- --check`: holds what is inside the images, by their SBOMs, against what Debian and Node give out now.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isOlder, newestVersions } from './debian.ts'
import { endOfLife, isLine, type Line } from './node-lines.ts'
import { compareReleases, newestOf } from './node-newest.ts'
import type { Architecture } from './oci.ts'
import { type Registry, referrersOf } from './registry.ts'
import { type Sbom, sbomType } from './sbom.ts'
import { formatTable } from './table.ts'

export type Inside = { readonly image: string; readonly sbom: Sbom }

/** `newest` is undefined where nobody gives the package out any more. */
export type Finding = {
  readonly package: string
  readonly architecture: string
  readonly inside: string
  readonly newest: string | undefined
  readonly isOld: boolean
  readonly images: readonly string[]
}

/** The SBOMs in a folder of images. */
export async function readSboms(folder: string): Promise<Inside[]> {
  const files: string[] = await readdir(folder).catch(() => [])
  const found: Inside[] = []
  for (const file of files.toSorted()) {
    const image = /^(.+)\.\w+\.cdx\.json$/.exec(file)?.[1]
    if (image !== undefined) found.push({ image, sbom: JSON.parse(await readFile(join(folder, file), 'utf8')) })
  }
  if (found.length === 0) throw new Error(`${folder} has no images with an SBOM: build them with npm run images`)
  return found
}

/** The SBOMs of images in a registry, by name and tag. */
export async function pullSboms(registry: Registry, repositories: readonly string[], tag: string): Promise<Inside[]> {
  const found: Inside[] = []
  for (const repository of repositories) {
    const root = await registry.getManifest(repository, tag)
    if (root === undefined) throw new Error(`${registry.host}/${repository}:${tag} is not there`)
    const before = found.length
    const content: { manifests?: readonly { digest: string }[] } = JSON.parse(Buffer.from(root.bytes).toString())
    for (const { digest } of content.manifests ?? [root.descriptor]) {
      for (const bytes of await referrersOf(registry, repository, digest, sbomType))
        found.push({ image: repository, sbom: JSON.parse(bytes.toString()) })
    }
    if (found.length === before) throw new Error(`${registry.host}/${repository}:${tag} has no SBOM`)
  }
  return found
}

export async function findNewer(all: readonly Inside[]): Promise<Finding[]> {
  const rows = new Map<
    string,
    { name: string; version: string; architecture: Architecture; isNode: boolean; images: Set<string> }
  >()
  for (const { image, sbom } of all) {
    const architecture = architectureOf(sbom)
    for (const { name, version, purl = '' } of sbom.components) {
      const isNode = purl.startsWith('pkg:generic/node@')
      if (!isNode && !purl.startsWith('pkg:deb/')) continue
      const key = `${name} ${version} ${architecture}`
      const row = rows.get(key) ?? { name, version, architecture, isNode, images: new Set() }
      rows.set(key, row)
      row.images.add(image)
    }
  }
  const nodes = await newestOf([...rows.values()].filter(({ isNode }) => isNode).map(({ version }) => lineOf(version)))
  const debian = new Map<string, Map<string, string>>()
  for (const architecture of new Set([...rows.values()].map((row) => row.architecture))) {
    const names = [...rows.values()]
      .filter((row) => !row.isNode && row.architecture === architecture)
      .map(({ name }) => name)
    debian.set(architecture, await newestVersions([...new Set(names)], architecture))
  }
  const findings: Finding[] = []
  for (const { name, version, architecture, isNode, images } of rows.values()) {
    const newest = isNode ? nodes.get(lineOf(version)) : debian.get(architecture)?.get(name)
    const isOld =
      newest !== undefined && (isNode ? compareReleases(version, newest) < 0 : await isOlder(version, newest))
    findings.push({ package: name, architecture, inside: version, newest, isOld, images: [...images] })
  }
  return findings
}

function architectureOf({ metadata }: Sbom): Architecture {
  const said = /[?&]arch=(\w+)/.exec(metadata.component.purl)?.[1]
  if (said === 'amd64' || said === 'arm64') return said
  throw new Error(`an SBOM is of no architecture that images are built for: ${metadata.component.purl}`)
}

function lineOf(version: string): Line {
  const line = version.split('.')[0] ?? ''
  if (!isLine(line)) throw new Error(`Node ${version} is of no line that images are built with`)
  return line
}

/** Sentences for lines of Node that are over. */
export function endedLines(findings: readonly Finding[], now: Date): string[] {
  const lines = new Set(findings.filter((one) => one.package === 'node').map(({ inside }) => lineOf(inside)))
  return [...lines].flatMap((line) => endOfLife(line, now) ?? [])
}

export function formatFindings(findings: readonly Finding[]): string {
  const rows = findings
    .toSorted((a, b) => Number(b.isOld) - Number(a.isOld))
    .map((one) => [
      one.package,
      one.architecture,
      one.inside,
      one.newest ?? 'not given out',
      one.isOld ? 'NEWER' : 'ok',
      `${one.images.length}`,
    ])
  return formatTable(['package', 'arch', 'inside', 'newest', 'is', 'images'], rows)
}
