// The layers that change only with Debian or Node, kept in dist/cache under a key of all that goes into them.
import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { copyFile, mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { cachedFolder, removeStale } from './cache.ts'
import { debs, downloadPackages, readControl, unpackPackages } from './debian.ts'
import { type Layer, loadLayer, writeLayer } from './layer.ts'
import type { Machine } from './machine.ts'
import { baseEntries, basePackages, initEntries, initPackages, runInSysroot } from './rootfs.ts'

export type SystemLayers = { readonly base: Layer; readonly init: Layer }

export type SystemOptions = {
  /** The root of the repository: Node is taken from its node_modules. */
  readonly root: string
  readonly cache: string
  readonly machine: Machine
  readonly epoch: number
  /** Download the packages again, which is how security updates get in. */
  readonly isRefresh: boolean
  readonly progress: (line: string) => void
}

// libc and the C++ libraries with what they point to, and the tool that strips Node.
const complete = ['libatomic1', 'libc6', 'libgcc-s1', 'libstdc++6', 'binutils']

export async function loadSystemLayers(options: SystemOptions): Promise<SystemLayers> {
  const { root, cache, machine, epoch, progress } = options
  const nodeFolder = join(root, 'node_modules', machine.nodePackage)
  const node = { binary: join(nodeFolder, 'bin', 'node'), license: join(nodeFolder, 'LICENSE') }
  if (!existsSync(node.binary))
    throw new Error(`node_modules has no ${machine.nodePackage}: run npm ci, without --omit=optional`)

  const packages = join(cache, `debian-${machine.architecture}`)
  if (options.isRefresh) await rm(packages, { recursive: true, force: true })
  await cachedFolder(packages, async (folder) => {
    progress('downloading Debian packages')
    const alone = [...basePackages, ...initPackages].filter((name) => !complete.includes(name))
    await downloadPackages({ alone, complete }, machine.architecture, folder)
  })

  const recipe = ['debian.ts', 'layer.ts', 'rootfs.ts', 'system.ts'].map((name) =>
    join(dirname(fileURLToPath(import.meta.url)), name),
  )
  const inputs = [...(await debs(packages)).map((name) => join(packages, name)), node.binary, node.license, ...recipe]
  const key = await keyOf(inputs, [process.versions.zlib, `${epoch}`])
  const layers = await cachedFolder(join(cache, `system-${machine.architecture}-${key}`), async (folder) => {
    progress('unpacking packages')
    const sysroot = join(folder, 'sysroot')
    await mkdir(sysroot)
    await unpackPackages(packages, sysroot)
    progress('stripping Node')
    const binary = join(folder, 'node')
    await copyFile(node.binary, binary)
    await runInSysroot(sysroot, machine, [
      join(sysroot, 'usr/bin', `${machine.triplet}-strip`),
      '--strip-unneeded',
      binary,
    ])
    const controls = new Map<string, string>()
    for (const name of [...basePackages, ...initPackages]) controls.set(name, await readControl(packages, name))
    progress('writing the layers of Node and tini')
    const base = await baseEntries(sysroot, machine, { ...node, binary }, controls)
    await writeLayer(base, join(folder, 'base.tar.gz'), epoch)
    await writeLayer(await initEntries(sysroot, controls), join(folder, 'init.tar.gz'), epoch)
    await rm(sysroot, { recursive: true })
    await rm(binary)
  })
  await removeStale(layers)
  return { base: await loadLayer(join(layers, 'base.tar.gz')), init: await loadLayer(join(layers, 'init.tar.gz')) }
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
