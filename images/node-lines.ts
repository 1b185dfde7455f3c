// The release lines of Node that images are built with. The project's own is pinned by package.json and the lockfile;
// those that apps may want besides, by node-releases.json, which `npm run images -- --pin` brings up to date.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Machine, machines } from './machine.ts'

export type Line = '20' | '22' | '24' | '26'
export const lines: readonly Line[] = ['20', '22', '24', '26']
/** The line of the project itself: agents and control run on it, and an image of an app that names no other. */
export const ownLine: Line = '26'

// https://github.com/nodejs/Release#release-schedule
const endsOfLife: Readonly<Record<Line, string>> = {
  20: '2026-04-30',
  22: '2027-04-30',
  24: '2028-04-30',
  26: '2029-04-30',
}

export type Release = { readonly version: string; readonly integrity: string }

export type Pinned = { readonly version: string; readonly amd64: string; readonly arm64: string }
export const pinsFile = fileURLToPath(new URL('node-releases.json', import.meta.url))

/** The pins of the lines besides our own. */
export async function loadPins(): Promise<Readonly<Record<string, Pinned>>> {
  return JSON.parse(await readFile(pinsFile, 'utf8'))
}

/** The pinned release of a line for a machine; `integrity` is of the npm package that has the binary. */
export async function pinnedRelease(root: string, line: Line, machine: Machine): Promise<Release> {
  if (line === ownLine) {
    const lock: { packages: Record<string, Release | undefined> } = JSON.parse(
      await readFile(join(root, 'package-lock.json'), 'utf8'),
    )
    const own = lock.packages[`node_modules/${machine.nodePackage}`]
    if (own === undefined || !own.version.startsWith(`${line}.`))
      throw new Error(`the lockfile pins ${own?.version ?? 'nothing'} as ${machine.nodePackage}, and not Node ${line}`)
    return own
  }
  const pin = (await loadPins())[line]
  if (pin === undefined) throw new Error(`images/node-releases.json pins no Node ${line}`)
  return { version: pin.version, integrity: pin[machine.architecture] }
}

/** A sentence for a line that gets no more security updates, at the time `now`. */
export function endOfLife(line: Line, now: Date): string | undefined {
  const day = endsOfLife[line]
  return now > new Date(`${day}T23:59:59Z`)
    ? `Node ${line} is past its end of life (${day}): it gets no security updates any more; move the app to ${ownLine}`
    : undefined
}

export const isLine = (text: string): text is Line => lines.some((line) => line === text)

/** The npm packages that a line's binaries come from. */
export const nodePackages = Object.values(machines).map(({ nodePackage }) => nodePackage)
