// An app's folder as it is shipped unbundled: with the packages that it needs and no other.
import { cp, readFile, stat } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Copies the app in `source`, and what it depends on from what is installed here, to `folder`. */
export async function copyAppWithPackages(source: string, folder: string): Promise<void> {
  for (const name of ['package.json', 'server.js']) await cp(join(source, name), join(folder, name))
  const found = new Set<string>()
  await collect(source, found)
  const below = (from: string, to: string) => relative(from, to).split('/').includes('node_modules')
  // What a package has in a node_modules of its own is in the list where it is needed.
  for (const from of found) {
    const place = from.startsWith(join(source, 'node_modules')) ? relative(source, from) : relative(root, from)
    await cp(from, join(folder, place), { recursive: true, filter: (path) => !below(from, path) })
  }
}

/** Adds the folders of everything that the package in `folder` depends on. */
async function collect(folder: string, found: Set<string>): Promise<void> {
  for (const name of await readDependencies(folder)) {
    const installed = await findInstalled(name, folder)
    if (found.has(installed)) continue
    found.add(installed)
    await collect(installed, found)
  }
}

async function readDependencies(folder: string): Promise<readonly string[]> {
  const manifest: unknown = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  if (typeof manifest !== 'object' || manifest === null || !('dependencies' in manifest)) return []
  return Object.keys(manifest.dependencies ?? {})
}

/** As Node looks: in each node_modules from `folder` up to the root. */
async function findInstalled(name: string, folder: string): Promise<string> {
  for (let at = folder; at.startsWith(dirname(join(root, 'x'))); at = dirname(at)) {
    const candidate = join(at, 'node_modules', name)
    if (await stat(candidate).catch(() => undefined)) return candidate
  }
  throw new Error(`${name}, which ${relative(root, folder)} depends on, is not installed: run npm ci`)
}
