// The newest release of a line of Node that npm has for every architecture, and bringing the pins up to it.
import { writeFile } from 'node:fs/promises'
import { execa } from 'execa'
import { machines } from './machine.ts'
import { isLine, type Line, loadPins, nodePackages, type Pinned, pinsFile } from './node-lines.ts'

/** A line that has no release on one architecture yet waits for it: images for both are one index. */
export async function newestOf(wanted: readonly Line[]): Promise<Map<Line, string>> {
  if (wanted.length === 0) return new Map()
  const lists = await Promise.all(nodePackages.map((name) => view<readonly string[]>(name, 'versions')))
  const [first = [], ...others] = lists
  const everywhere = first.filter((version) => others.every((list) => list.includes(version)))
  const newest = new Map<Line, string>()
  for (const line of wanted) {
    const version = everywhere
      .filter((one) => one.startsWith(`${line}.`) && isRelease(one))
      .toSorted(compareReleases)
      .at(-1)
    if (version !== undefined) newest.set(line, version)
  }
  return newest
}

const isRelease = (version: string) => /^\d+\.\d+\.\d+$/.test(version)

export function compareReleases(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number))
  for (const [index, part] of (left ?? []).entries()) {
    const difference = part - (right?.[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Writes node-releases.json anew; what changed, as lines for a person. */
export async function pinNewest(): Promise<string[]> {
  const pins = await loadPins()
  const newest = await newestOf(Object.keys(pins).filter(isLine))
  const next: Record<string, Pinned> = {}
  const changes: string[] = []
  for (const [line, pin] of Object.entries(pins)) {
    const version = isLine(line) ? newest.get(line) : undefined
    if (version === undefined || compareReleases(version, pin.version) <= 0) {
      next[line] = pin
      continue
    }
    const integrity = (name: string) => view<string>(`${name}@${version}`, 'dist.integrity')
    const [amd64, arm64] = [await integrity(machines.amd64.nodePackage), await integrity(machines.arm64.nodePackage)]
    next[line] = { version, amd64, arm64 }
    changes.push(`Node ${line}: ${pin.version} -> ${version}`)
  }
  await writeFile(pinsFile, `${JSON.stringify(next, undefined, 2)}\n`)
  return changes
}

async function view<T>(name: string, field: string): Promise<T> {
  const { stdout } = await execa('npm', ['view', name, field, '--json'], { stdin: 'ignore', timeout: 120_000 }).catch(
    (cause: unknown) => {
      throw new Error(`npm could not tell the ${field} of ${name}; is the registry reachable?`, { cause })
    },
  )
  return JSON.parse(stdout)
}
