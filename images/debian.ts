// Debian packages as files, through the apt of this machine but with a state folder of our own: no root is needed, the
// lists are fresh, and what is installed here makes no difference. apt holds each package against the signed index.
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ExecaError, execa } from 'execa'

export type Wanted = {
  /** Packages downloaded as they are. */
  readonly alone: readonly string[]
  /** Packages downloaded together with all that they depend on. */
  readonly complete: readonly string[]
}

/** Options of apt for a state of its own, in the folder `state`, for `architecture`. */
async function privateState(state: string, architecture: string): Promise<string[]> {
  for (const part of ['lists/partial', 'cache/archives/partial']) await mkdir(join(state, part), { recursive: true })
  await writeFile(join(state, 'status'), '')
  return Object.entries({
    'Dir::State': state,
    'Dir::State::lists': join(state, 'lists'),
    'Dir::State::status': join(state, 'status'),
    'Dir::Cache': join(state, 'cache'),
    'Dir::Cache::archives': join(state, 'cache', 'archives'),
    'APT::Architecture': architecture,
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'APT::Update::Error-Mode': 'any',
    'Acquire::Retries': '2',
    'Acquire::http::Timeout': '30',
    'Acquire::https::Timeout': '30',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}

/** Package to the version that Debian would give now; throws unless every list could be had. */
export async function newestVersions(names: readonly string[], architecture: string): Promise<Map<string, string>> {
  const state = await mkdtemp(join(tmpdir(), 'aether-apt-'))
  try {
    const options = await privateState(state, architecture)
    await run('apt-get', [...options, '-q', 'update'], state)
    const said = await run('apt-cache', [...options, 'policy', ...names], state)
    const versions = new Map<string, string>()
    for (const [, name = '', version = ''] of said.matchAll(/^(\S+):\n {2}Installed: .*\n {2}Candidate: (\S+)$/gm)) {
      if (version !== '(none)') versions.set(name.replace(/:.*$/, ''), version)
    }
    return versions
  } finally {
    await rm(state, { recursive: true, force: true })
  }
}

/** By Debian's own order of versions: https://www.debian.org/doc/debian-policy/ch-controlfields.html#version */
export async function isOlder(version: string, than: string): Promise<boolean> {
  const { exitCode } = await execa('dpkg', ['--compare-versions', version, 'lt', than], { reject: false })
  if (exitCode !== 0 && exitCode !== 1) throw new Error(`dpkg could not compare ${version} with ${than}`)
  return exitCode === 0
}

/** Downloads the packages for `architecture` into the empty folder `out`. */
export async function downloadPackages(wanted: Wanted, architecture: string, out: string): Promise<void> {
  const state = join(out, 'apt')
  const options = await privateState(state, architecture)

  // A foreign source that does not answer is no reason to stop: the downloads tell whether Debian's did.
  const lists = await run('apt-get', [...options, '-q', 'update'], state).catch((error: unknown) => error)
  try {
    const install = ['-q', '-y', '--no-install-recommends', '--download-only', 'install']
    await run('apt-get', [...options, ...install, ...wanted.complete], state)
    if (wanted.alone.length > 0)
      await run('apt-get', [...options, '-q', 'download', ...wanted.alone], join(state, 'cache', 'archives'))
  } catch (error) {
    throw lists instanceof Error && text(lists) !== text(error)
      ? new AggregateError([lists, error], `${text(lists)}\n${text(error)}`)
      : error
  }
  for (const name of await debs(join(state, 'cache', 'archives'))) {
    await rename(join(state, 'cache', 'archives', name), join(out, name))
  }
  await rm(state, { recursive: true })
}

/** The package files of a folder, sorted. */
export async function debs(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.deb')).toSorted()
}

/** Unpacks every package of `from` into one tree below `root`. */
export async function unpackPackages(from: string, root: string): Promise<void> {
  for (const name of await debs(from)) await run('dpkg-deb', ['-x', join(from, name), root], from)
}

/** The control file of a package in `folder`: what dpkg and scanners know about it. */
export async function readControl(folder: string, name: string): Promise<string> {
  const file = (await debs(folder)).find((deb) => deb.startsWith(`${name}_`))
  if (file === undefined)
    throw new Error(`the package ${name} is not among those downloaded to ${folder}: build with --refresh`)
  return `${await run('dpkg-deb', ['-f', join(folder, file)], folder)}\n`
}

/** The files of a package in `folder`, as paths below the root. */
export async function listFiles(folder: string, deb: string): Promise<string[]> {
  const listing = await run('dpkg-deb', ['-c', join(folder, deb)], folder)
  return listing.split('\n').flatMap((line) => /^-.* \.\/(.+)$/.exec(line)?.[1] ?? [])
}

async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await execa(program, args, { cwd, env: { LC_ALL: 'C.UTF-8' }, stdin: 'ignore' })
    return stdout
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error
    if (error.code === 'ENOENT' && existsSync(cwd))
      throw new Error(
        `${program} is not on this machine: build the images on Debian or Ubuntu, or in a container of it`,
        {
          cause: error,
        },
      )
    const said = `${error.stderr}`.split('\n').filter((line) => /^(E|Err|dpkg-deb)/.test(line))
    const names = args.slice(args.findLastIndex((arg) => /^(-|update$|install$|download$)/.test(arg)) + 1)
    throw new Error(
      `${program} failed for ${names.join(' ') || 'the package lists'}: ${said.join(' ') || error.shortMessage}` +
        '; are the sources of /etc/apt right, and does this machine reach them?',
      { cause: error },
    )
  }
}

const text = (error: unknown) => (error instanceof Error ? error.message : String(error))
