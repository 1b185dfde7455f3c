// The layers that change only with Debian or Node, kept in dist/cache under a key of all that goes into them.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { cachedFolder, removeStale } from './cache.ts'
import {
  type Component,
  type Distribution,
  debianComponent,
  nodeComponent,
  readDistribution,
  systemComponent,
} from './components.ts'
import { debs, downloadPackages, readControl, unpackPackages } from './debian.ts'
import { neededLibraries } from './elf.ts'
import { type Layer, loadLayer, writeLayer } from './layer.ts'
import type { Machine } from './machine.ts'
import { type Line, ownLine } from './node-lines.ts'
import { loadNode } from './node-package.ts'
import { baseEntries, basePackages, initEntries, initPackages, nodeEntries, runInSysroot } from './rootfs.ts'

/** A layer, and what of others is in it. */
export type Part = { readonly layer: Layer; readonly components: readonly Component[] }

/** `base` is under every image, `node` above it by release line, `init` for apps. */
export type SystemParts = {
  readonly base: Part
  readonly init: Part
  readonly distribution: Distribution
  readonly node: (line: Line) => Promise<Part>
}

export type SystemOptions = {
  /** The root of the repository: Node is taken from its node_modules. */
  readonly root: string
  readonly cache: string
  /** What the layers are for. */
  readonly machine: Machine
  /** What they are built on. */
  readonly host: Machine
  readonly epoch: number
  /** Download the packages again, which is how security updates get in. */
  readonly isRefresh: boolean
  readonly progress: (line: string) => void
}

const here = dirname(fileURLToPath(import.meta.url))
// libc and the C++ libraries with what they point to.
const libraries = ['libatomic1', 'libc6', 'libgcc-s1', 'libstdc++6']

export async function loadSystem(options: SystemOptions): Promise<SystemParts> {
  const { root, cache, machine, host, epoch, progress } = options
  const own = await loadNode(root, cache, machine, ownLine, progress)
  const isNative = machine.architecture === host.architecture
  const packages = await loadPackages(options, `debian-${machine.architecture}`, machine, {
    // The tool that strips Node runs here, so it comes along only where here is what is built for.
    complete: [...libraries, ...(isNative ? ['binutils'] : [])],
    alone: [...basePackages, ...initPackages].filter((name) => !libraries.includes(name)),
  })
  const tools = isNative
    ? packages
    : await loadPackages(options, `debian-${host.architecture}-for-${machine.architecture}`, host, {
        complete: [machine.binutils],
        alone: [],
      })

  const recipe = ['components.ts', 'debian.ts', 'elf.ts', 'layer.ts', 'rootfs.ts', 'system.ts'].map((name) =>
    join(here, name),
  )
  const facts = [process.versions.zlib, `${epoch}`]
  const inputs = [...(await debs(packages)).map((name) => join(packages, name)), own.binary, ...recipe]
  const key = await keyOf(inputs, facts)
  const folder = await cachedFolder(join(cache, `system-${machine.architecture}-${key}`), async (empty) => {
    progress(`unpacking packages for ${machine.architecture}`)
    const sysroot = join(empty, 'sysroot')
    await mkdir(sysroot)
    await unpackPackages(packages, sysroot)
    const controls = new Map<string, string>()
    for (const name of [...basePackages, ...initPackages]) controls.set(name, await readControl(packages, name))
    const base = await baseEntries(sysroot, machine, own.binary, controls)
    await writeLayer(base, join(empty, 'base.tar.gz'), epoch)
    const distribution = await readDistribution(sysroot)
    const of = (names: readonly string[]) =>
      names.map((name) => debianComponent(controls.get(name) ?? '', distribution))
    await writeComponents(empty, 'base', [systemComponent(distribution), ...of(basePackages)])
    await writeLayer(await initEntries(sysroot, controls), join(empty, 'init.tar.gz'), epoch)
    await writeComponents(empty, 'init', of(initPackages))
    await writeFile(join(empty, 'distribution.json'), JSON.stringify(distribution))
    const names = base.map(({ path }) => basename(path)).filter((name) => name.includes('.so'))
    await writeFile(join(empty, 'libraries.json'), JSON.stringify(names))
    await rm(sysroot, { recursive: true })
  })
  await removeStale(folder)

  const node = async (line: Line): Promise<Part> => {
    const { version, binary, license } = await loadNode(root, cache, machine, line, progress)
    const there: readonly string[] = JSON.parse(await readFile(join(folder, 'libraries.json'), 'utf8'))
    const missing = (await neededLibraries(binary)).filter((name) => !there.includes(name))
    if (missing.length > 0)
      throw new Error(`Node ${version} links ${missing.join(', ')}, which the layer that all lines share has not`)
    const toolFiles = (await debs(tools)).map((name) => join(tools, name))
    const nodeKey = await keyOf([...toolFiles, binary, license, ...recipe], facts)
    const made = await cachedFolder(join(cache, `node-${line}-${machine.architecture}-${nodeKey}`), async (empty) => {
      progress(`stripping Node ${version} for ${machine.architecture}`)
      const sysroot = join(empty, 'sysroot')
      await mkdir(sysroot)
      await unpackPackages(tools, sysroot)
      const stripped = join(empty, 'node')
      await copyFile(binary, stripped)
      const strip = join(sysroot, 'usr/bin', `${machine.triplet}-strip`)
      await runInSysroot(sysroot, host, [strip, '--strip-unneeded', stripped])
      await writeLayer(nodeEntries(stripped, license), join(empty, 'node.tar.gz'), epoch)
      await writeComponents(empty, 'node', [nodeComponent(version)])
      await rm(sysroot, { recursive: true })
      await rm(stripped)
    })
    await removeStale(made)
    return loadPart(made, 'node')
  }
  const distribution: Distribution = JSON.parse(await readFile(join(folder, 'distribution.json'), 'utf8'))
  return { base: await loadPart(folder, 'base'), init: await loadPart(folder, 'init'), distribution, node }
}

async function loadPackages(
  { cache, isRefresh, progress }: SystemOptions,
  name: string,
  machine: Machine,
  wanted: { readonly complete: readonly string[]; readonly alone: readonly string[] },
): Promise<string> {
  const packages = join(cache, name)
  if (isRefresh) await rm(packages, { recursive: true, force: true })
  return cachedFolder(packages, async (folder) => {
    progress(`downloading Debian packages for ${machine.architecture}`)
    await downloadPackages(wanted, machine.architecture, folder)
  })
}

export async function writeComponents(folder: string, name: string, components: readonly Component[]): Promise<void> {
  await writeFile(join(folder, `${name}.json`), JSON.stringify(components))
}

export async function loadPart(folder: string, name: string): Promise<Part> {
  return {
    layer: await loadLayer(join(folder, `${name}.tar.gz`)),
    components: JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8')),
  }
}

export async function keyOf(files: readonly string[], facts: readonly string[]): Promise<string> {
  const key = createHash('sha256')
  for (const file of files) {
    const hash = createHash('sha256')
    await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash)
    key.update(`${hash.digest('hex')}\n`)
  }
  return key.update(facts.join('\n')).digest('hex').slice(0, 16)
}
