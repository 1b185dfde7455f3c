// What is in an image, as entries: enough to run Node and nothing a person could log in with. Taken from unpacked
// Debian packages (`sysroot`); which libraries that means is read from the binaries, so that a newer Node cannot be missing one.
import { existsSync } from 'node:fs'
import { readdir, readFile, readlink, realpath } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { execa } from 'execa'
import { neededLibraries } from './elf.ts'
import { type Entry, fileEntry, folderEntry, linkEntry, textEntry } from './layer.ts'
import type { Machine } from './machine.ts'

/** The packages that the images keep files of. */
export const basePackages = [
  'base-files',
  'ca-certificates',
  'libatomic1',
  'libc6',
  'libgcc-s1',
  'libstdc++6',
  'netbase',
]
export const initPackages = ['tini']

/** Who the agents and the apps run as. */
export const user = 65532

// Small parts of glibc that Node does not link and native addons still name.
const addonLibraries = ['libresolv.so.2', 'librt.so.1', 'libutil.so.1']

/** A program of the sysroot, run with the sysroot's own loader and libraries: this machine's have no part in it. */
export async function runInSysroot(sysroot: string, machine: Machine, args: readonly string[]): Promise<string> {
  const folders = libraryFolders(sysroot, machine)
  const loader = await findLibrary(folders, basename(machine.loader))
  const { stdout } = await execa(loader, ['--inhibit-cache', '--library-path', folders.join(':'), ...args])
  return stdout
}

/** The layer under all images: the C and C++ libraries that `node` links, certificates, the names of users and services. */
export async function baseEntries(
  sysroot: string,
  machine: Machine,
  node: string,
  controls: ReadonlyMap<string, string>,
): Promise<Entry[]> {
  const folders = libraryFolders(sysroot, machine)
  const libraries = await linkedLibraries(sysroot, machine, node)
  for (const name of addonLibraries) libraries.set(name, await findLibrary(folders, name))
  const loader = await findLibrary(folders, basename(machine.loader))
  return [
    fileEntry(machine.loader, loader, 0o755),
    ...[...libraries].map(([name, file]) => fileEntry(`usr/lib/${machine.triplet}/${name}`, file)),
    fileEntry('etc/ssl/certs/ca-certificates.crt', await certificates(sysroot)),
    textEntry(
      'etc/passwd',
      users((name, id, home) => `${name}:x:${id}:${id}:${name}:${home}:/sbin/nologin`),
    ),
    textEntry(
      'etc/group',
      users((name, id) => `${name}:x:${id}:`),
    ),
    textEntry(
      'etc/nsswitch.conf',
      'passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n',
    ),
    ...['protocols', 'services'].map((name) => fileEntry(`etc/${name}`, join(sysroot, 'etc', name))),
    fileEntry('etc/os-release', await realpath(join(sysroot, 'usr/lib/os-release'))),
    fileEntry('etc/debian_version', join(sysroot, 'etc/debian_version')),
    folderEntry('tmp', 0o1777),
    ...(await packageEntries(sysroot, basePackages, controls)),
    ...(await commonLicenses(sysroot)),
  ]
}

/** The layer above it. */
export const nodeEntries = (binary: string, license: string): Entry[] => [
  fileEntry('usr/local/bin/node', binary, 0o755),
  fileEntry('usr/share/doc/nodejs/copyright', license),
]

/** PID 1 of the image for apps: it reaps what an app leaves behind, which Node does not. */
export async function initEntries(sysroot: string, controls: ReadonlyMap<string, string>): Promise<Entry[]> {
  return [
    fileEntry('usr/local/bin/tini', join(sysroot, 'usr/bin/tini-static'), 0o755),
    ...(await packageEntries(sysroot, initPackages, controls)),
  ]
}

/** The bundled commands at /aether, as `bundle.ts` laid them out. */
export function agentEntries(bundle: string, files: readonly string[]): Entry[] {
  return [...new Set(files)].map((path) =>
    fileEntry(`aether/${path}`, join(bundle, path), path.startsWith('bin/') ? 0o755 : 0o644),
  )
}

/** Where a pod mounts its volumes: the root is read-only, so the folders have to be there. */
export function mountPoints(...paths: readonly string[]): Entry[] {
  return paths.map((path) => folderEntry(path, 0o755, user))
}

export function libraryFolders(sysroot: string, machine: Machine): string[] {
  return ['lib', 'usr/lib'].map((folder) => join(sysroot, folder, machine.triplet))
}

export async function findLibrary(folders: readonly string[], name: string): Promise<string> {
  for (const folder of folders) {
    if (existsSync(join(folder, name))) return realpath(join(folder, name))
  }
  throw new Error(`no unpacked package has the library ${name}: build with --refresh`)
}

/** Library name to file, of all that the binary links and what that links in turn, from the sysroot alone. */
export async function linkedLibraries(sysroot: string, machine: Machine, binary: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const folders = libraryFolders(sysroot, machine)
  const queue = [binary]
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    for (const name of await neededLibraries(file)) {
      if (found.has(name) || name === basename(machine.loader)) continue
      const library = await findLibrary(folders, name)
      found.set(name, library)
      queue.push(library)
    }
  }
  return found
}

/** Mozilla's certificates as the package has them, in the order of their names: not what this machine trusts. */
async function certificates(sysroot: string): Promise<Uint8Array> {
  const folder = join(sysroot, 'usr/share/ca-certificates/mozilla')
  const names = (await readdir(folder)).filter((name) => name.endsWith('.crt')).toSorted()
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))
  return Buffer.from(texts.map((text) => `${text.trim()}\n`).join(''))
}

export function users(line: (name: string, id: number, home: string) => string): string {
  const all = [line('root', 0, '/root'), line('nobody', 65534, '/nonexistent'), line('nonroot', user, '/workspace')]
  return `${all.join('\n')}\n`
}

/** The licence of each package, and what scanners read to know what is inside. Packages of one source share one text. */
export async function packageEntries(
  sysroot: string,
  names: readonly string[],
  controls: ReadonlyMap<string, string>,
): Promise<Entry[]> {
  const first = new Map<string, string>()
  const entries: Entry[] = []
  for (const name of names) {
    const folder = `usr/share/doc/${name}`
    const text = await realpath(join(sysroot, folder, 'copyright'))
    const shared = first.get(text)
    if (shared === undefined) first.set(text, folder)
    entries.push(
      shared === undefined
        ? fileEntry(`${folder}/copyright`, text)
        : linkEntry(`${folder}/copyright`, `${relative(folder, shared)}/copyright`),
      textEntry(`var/lib/dpkg/status.d/${name}`, controls.get(name) ?? ''),
    )
  }
  return entries
}

/** The full texts that the copyright files point to; `GPL` is a link to the newest, as Debian has it. */
async function commonLicenses(sysroot: string): Promise<Entry[]> {
  const folder = join(sysroot, 'usr/share/common-licenses')
  const found = await readdir(folder, { withFileTypes: true })
  return Promise.all(
    found.map(async (one) => {
      const [path, from] = [`usr/share/common-licenses/${one.name}`, join(folder, one.name)]
      return one.isSymbolicLink() ? linkEntry(path, await readlink(from)) : fileEntry(path, from)
    }),
  )
}
