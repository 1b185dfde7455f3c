// `npm run images`: bundles what goes into the images and writes dist/images/<name>.tar, without an engine. README.md has
// the contract.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { bundleCommands, formatBundle } from './bundle.ts'
import { agents, control, root } from './bundles.ts'
import { detectMachine, machines } from './machine.ts'
import { endOfLife, type Line } from './node-lines.ts'
import { type Packed, packImage, writeArchive } from './oci.ts'
import type { Options } from './options.ts'
import { loadPostgres } from './postgres.ts'
import { loadProvenance } from './provenance.ts'
import { type Built, recipesFor, writeOwnLayers } from './recipes.ts'
import { formatSbom } from './sbom.ts'
import { loadSigningKey, signImage } from './signature.ts'
import { loadSystem } from './system.ts'

/** An image as it lies in dist/images, with what belongs to it. */
export type Made = {
  /** Of an aether-nodejs of another line. */
  readonly line: Line | undefined
  readonly packed: Packed
  readonly file: string
  /** By the digest of the platform's manifest. */
  readonly sboms: ReadonlyMap<string, string>
  /** 128 hex characters, where there is a key. */
  readonly signature: string | undefined
}

const progress = (line: string) => console.error(`images: ${line}`)

export async function buildImages(options: Options): Promise<Made[]> {
  const dist = resolve(root, options.out)
  const cache = join(dist, 'cache')
  const layerEpoch = options.epoch ?? 0
  const host = detectMachine(process.platform, process.arch)
  const architectures = options.architectures ?? [host.architecture]
  const key = await loadSigningKey(process.env['AETHER_SIGNING_KEY'])
  for (const line of options.lines) {
    const warning = endOfLife(line, new Date())
    if (warning !== undefined) progress(`WARNING: ${warning}`)
  }

  progress('bundling the agents and control')
  await mkdir(cache, { recursive: true })
  const bundles = { agents: join(dist, 'agents'), control: join(dist, 'control') }
  const agentCommands = await bundleCommands(root, agents, bundles.agents)
  const controlCommands = await bundleCommands(root, control, bundles.control)
  console.error(formatBundle([...agentCommands, ...controlCommands]))

  const about = { root, cache, host, machine: host, epoch: layerEpoch, isRefresh: options.isRefresh, progress }
  const own = await writeOwnLayers(
    { folder: bundles.agents, commands: agentCommands },
    { folder: bundles.control, commands: controlCommands },
    cache,
    layerEpoch,
  )
  const provenance = await loadProvenance(root, options.epoch, options.source)
  const common = {
    ...provenance,
    own,
    reference: (name: string, line?: string) =>
      `${options.repository}/${name}:${line === undefined ? '' : `${line}-slim-`}${options.tag}`,
  }
  const images = new Map<string, [Built, ...Built[]]>()
  for (const architecture of architectures) {
    const system = await loadSystem({ ...about, machine: machines[architecture] })
    // The database is for the scenarios alone, and those run where it was built.
    const isDatabaseWanted = options.withE2e && architecture === host.architecture
    const database = isDatabaseWanted ? await loadPostgres(about, system.distribution) : undefined
    for (const [name, image] of await recipesFor(architecture, system, options.lines, common, database)) {
      const others = images.get(name)
      if (others === undefined) images.set(name, [image])
      else others.push(image)
    }
  }
  progress('writing the images')
  const folder = join(dist, 'images')
  await mkdir(folder, { recursive: true })
  const made: Made[] = []
  for (const [name, built] of images) made.push(await writeImage(name, built, folder, layerEpoch))
  return made

  async function writeImage(name: string, built: [Built, ...Built[]], out: string, epoch: number): Promise<Made> {
    const packed = packImage(built)
    const file = join(out, `${name}.tar`)
    await writeArchive(packed, file, epoch)
    const sboms = new Map<string, string>()
    for (const other of Object.keys(machines)) await rm(join(out, `${name}.${other}.cdx.json`), { force: true })
    for (const [index, { descriptor, architecture }] of packed.platforms.entries()) {
      const subject = { reference: packed.reference, architecture, digest: descriptor.digest, created: common.created }
      const version = common.annotations['org.opencontainers.image.version'] ?? '0'
      const sbom = formatSbom(subject, built[index]?.components ?? [], version)
      await writeFile(join(out, `${name}.${architecture}.cdx.json`), sbom)
      sboms.set(descriptor.digest, sbom)
    }
    const signature = key && signImage(packed.root.descriptor.digest, key)
    if (signature === undefined) await rm(join(out, `${name}.sig`), { force: true })
    else await writeFile(join(out, `${name}.sig`), `${signature}\n`)
    return { line: built[0].line, packed, file: relative(root, file), sboms, signature }
  }
}
