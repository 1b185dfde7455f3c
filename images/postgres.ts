// The image aether-postgres, for the scenarios of e2e/ alone: Debian's PostgreSQL with what its server, initdb, psql and
// pg_isready link, and dash, because initdb starts the server through /bin/sh. No perl, no locales, no LLVM (jit is off).
import { existsSync } from 'node:fs'
import { mkdir, readdir, realpath, rm } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cachedFolder, removeStale } from './cache.ts'
import { type Distribution, debianComponent, systemComponent } from './components.ts'
import { debs, downloadPackages, listFiles, readControl, unpackPackages } from './debian.ts'
import { type Entry, fileEntry, folderEntry, textEntry, writeLayer } from './layer.ts'
import type { Machine } from './machine.ts'
import { findLibrary, libraryFolders, linkedLibraries, mountPoints, packageEntries, users } from './rootfs.ts'
import { keyOf, loadPart, type Part, type SystemOptions, writeComponents } from './system.ts'

const here = dirname(fileURLToPath(import.meta.url))
const startScript = join(here, 'start-postgres.sh')

const programs = ['postgres', 'initdb', 'psql', 'pg_isready']
/** Of the server's folder of libraries: what initdb writes into every new database. */
const modules = ['plpgsql.so', 'dict_snowball.so']
const zones = ['UTC', 'GMT', 'Etc/UTC']

/** `bin` is the folder of its programs in the image: the major version is that of the Debian release. */
export type Postgres = Part & { readonly bin: string }

export async function loadPostgres(
  { cache, machine, epoch, isRefresh, progress }: SystemOptions,
  distribution: Distribution,
): Promise<Postgres> {
  const packages = join(cache, `debian-postgres-${machine.architecture}`)
  if (isRefresh) await rm(packages, { recursive: true, force: true })
  await cachedFolder(packages, async (folder) => {
    progress("downloading Debian's PostgreSQL")
    await downloadPackages({ alone: [], complete: ['postgresql', 'dash', 'tzdata'] }, machine.architecture, folder)
  })
  const server = (await debs(packages)).find((name) => /^postgresql-\d+_/.test(name))
  const major = /^postgresql-(\d+)_/.exec(server ?? '')?.[1]
  if (major === undefined) throw new Error(`no server is among the packages in ${packages}: build with --refresh`)

  const recipe = ['components.ts', 'debian.ts', 'elf.ts', 'layer.ts', 'postgres.ts', 'rootfs.ts'].map((name) =>
    join(here, name),
  )
  const inputs = [...(await debs(packages)).map((name) => join(packages, name)), ...recipe, startScript]
  const key = await keyOf(inputs, [process.versions.zlib, `${epoch}`, JSON.stringify(distribution)])
  const layers = await cachedFolder(join(cache, `postgres-${machine.architecture}-${key}`), async (folder) => {
    progress('writing the layer of PostgreSQL')
    const sysroot = join(folder, 'sysroot')
    await mkdir(sysroot)
    await unpackPackages(packages, sysroot)
    const { entries, controls } = await postgresEntries(await realpath(sysroot), machine, major, packages)
    await writeLayer(entries, join(folder, 'postgres.tar.gz'), epoch)
    const inside = [...controls.values()].map((control) => debianComponent(control, distribution))
    await writeComponents(folder, 'postgres', [systemComponent(distribution), ...inside])
    await rm(sysroot, { recursive: true })
  })
  await removeStale(layers)
  return { ...(await loadPart(layers, 'postgres')), bin: `/usr/lib/postgresql/${major}/bin` }
}

async function postgresEntries(sysroot: string, machine: Machine, major: string, packages: string) {
  const home = `usr/lib/postgresql/${major}`
  const shared = `usr/share/postgresql/${major}`
  const inRoot = (path: string) => join(sysroot, path)
  const shell = ['bin/dash', 'usr/bin/dash'].map(inRoot).find((file) => existsSync(file))
  if (shell === undefined) throw new Error('no unpacked package has dash: build with --refresh')

  const binaries = programs.map((name) => inRoot(`${home}/bin/${name}`))
  const plugins = modules.map((name) => inRoot(`${home}/lib/${name}`))
  const libraries = new Map<string, string>()
  for (const binary of [...binaries, ...plugins, shell])
    for (const [name, file] of await linkedLibraries(sysroot, machine, binary)) libraries.set(name, file)

  const kept = [
    fileEntry('bin/sh', shell, 0o755),
    fileEntry(machine.loader, await findLibrary(libraryFolders(sysroot, machine), basename(machine.loader)), 0o755),
    ...[...libraries].map(([name, file]) => fileEntry(`usr/lib/${machine.triplet}/${name}`, file)),
    ...binaries.map((file) => fileEntry(relative(sysroot, file), file, 0o755)),
    ...plugins.map((file) => fileEntry(relative(sysroot, file), file)),
    ...zones.map((name) => fileEntry(`usr/share/zoneinfo/${name}`, inRoot(`usr/share/zoneinfo/${name}`))),
    ...(await sharedFiles(inRoot(shared))).map((name) => fileEntry(`${shared}/${name}`, inRoot(`${shared}/${name}`))),
  ]
  const controls = await controlsOf(packages, sysroot, kept)
  const entries = [
    ...kept,
    fileEntry('usr/local/bin/start-postgres', startScript, 0o755),
    textEntry(
      'etc/passwd',
      users((name, id) => `${name}:x:${id}:${id}:${name}:/nonexistent:/sbin/nologin`),
    ),
    textEntry(
      'etc/group',
      users((name, id) => `${name}:x:${id}:`),
    ),
    textEntry('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n'),
    folderEntry('tmp', 0o1777),
    ...mountPoints('var/lib/postgresql', 'run/postgresql'),
    ...(await packageEntries(sysroot, [...controls.keys()], controls)),
  ]
  return { entries, controls }
}

/** What initdb and the server read, without the extensions whose libraries are not here. */
async function sharedFiles(folder: string): Promise<string[]> {
  const all = await readdir(folder, { recursive: true, withFileTypes: true })
  return all
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => !/^(extension\/(?!plpgsql)|man\/)/.test(name))
}

/** Package to control file, of the packages that these entries are from. */
async function controlsOf(packages: string, sysroot: string, entries: readonly Entry[]): Promise<Map<string, string>> {
  const files = await Promise.all(
    entries.map(async (entry) => (entry.type === 'File' && typeof entry.from === 'string' ? realpath(entry.from) : '')),
  )
  const used = new Set(files.map((file) => relative(sysroot, file)))
  const controls = new Map<string, string>()
  for (const deb of await debs(packages)) {
    if (!(await listFiles(packages, deb)).some((file) => used.has(file))) continue
    const name = deb.replace(/_.*$/, '')
    controls.set(name, await readControl(packages, name))
  }
  return controls
}
