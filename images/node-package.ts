// A Node binary as npm has it: for the project's own line and machine from node_modules, else downloaded by the npm of
// this machine and held against the pinned integrity before anything of it is used.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ExecaError, execa } from 'execa'
import { extract } from 'tar'
import { cachedFolder } from './cache.ts'
import type { Machine } from './machine.ts'
import { type Line, ownLine, pinnedRelease } from './node-lines.ts'

export type NodeBinary = { readonly version: string; readonly binary: string; readonly license: string }

export async function loadNode(
  root: string,
  cache: string,
  machine: Machine,
  line: Line,
  progress: (text: string) => void,
): Promise<NodeBinary> {
  const { version, integrity } = await pinnedRelease(root, line, machine)
  const files = (folder: string) => ({ binary: join(folder, 'bin', 'node'), license: join(folder, 'LICENSE') })
  const installed = join(root, 'node_modules', machine.nodePackage)
  if (line === ownLine && existsSync(files(installed).binary)) return { version, ...files(installed) }

  const name = `${machine.nodePackage}@${version}`
  const folder = await cachedFolder(join(cache, `${machine.nodePackage}-${version}`), async (empty) => {
    progress(`downloading ${name}`)
    const tarball = join(empty, await pack(name, empty))
    const found = `sha512-${createHash('sha512')
      .update(await readFile(tarball))
      .digest('base64')}`
    if (found !== integrity)
      throw new Error(`${name} is not what is pinned: its integrity is ${found} instead of ${integrity}`)
    await extract({
      file: tarball,
      cwd: empty,
      strip: 1,
      filter: (path) => ['package/bin/node', 'package/LICENSE'].includes(path),
    })
    await rm(tarball)
  })
  return { version, ...files(folder) }
}

/** The name of the tarball. */
async function pack(name: string, out: string): Promise<string> {
  try {
    const args = ['pack', name, '--pack-destination', out, '--silent', '--ignore-scripts']
    const { stdout } = await execa('npm', args, { cwd: out, stdin: 'ignore', timeout: 300_000 })
    return stdout.trim().split('\n').at(-1) ?? ''
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error
    throw new Error(
      `npm could not download ${name}: ${error.stderr || error.shortMessage}; is the registry reachable?`,
      {
        cause: error,
      },
    )
  }
}
