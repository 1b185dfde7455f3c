// What the licences of the bundled packages ask for: their text goes along with the code, in one file.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'

/** A package with code in a bundle; `folder` is relative to the root of the repository. */
export type BundledPackage = {
  readonly name: string
  readonly version: string
  /** As its package.json states it. */
  readonly license: string | undefined
  readonly folder: string
}

/** The packages with code in these outputs, by their folder. */
export async function bundledPackages(root: string, outputs: readonly Metafile['outputs'][string][]) {
  const folders = new Set<string>()
  for (const output of outputs) {
    for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
      const folder = /^[^:]*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]
      if (folder !== undefined && bytesInOutput > 0) folders.add(folder)
    }
  }
  return Promise.all([...folders].toSorted().map((folder) => readPackage(root, folder)))
}

/** What the package in this folder says about itself. */
export async function readPackage(root: string, folder: string): Promise<BundledPackage> {
  const { name, version, license }: { name: string; version: string; license?: unknown } = JSON.parse(
    await readFile(join(root, folder, 'package.json'), 'utf8'),
  )
  return { name, version, license: typeof license === 'string' ? license : undefined, folder }
}

/** The licence texts in a package's folder. */
export async function licenseTexts(root: string, folder: string): Promise<string> {
  const files = (await readdir(join(root, folder))).filter((name) => /^(licen[cs]e|copying|notice)/i.test(name))
  const texts = await Promise.all(files.toSorted().map((name) => readFile(join(root, folder, name), 'utf8')))
  return texts.join('\n').trim()
}

/** The licence files of each package with code in the bundle, then the legal comments that its sources carry. */
export async function collectLicenses(root: string, metafile: Metafile, comments: readonly string[]): Promise<string> {
  const parts: string[] = []
  for (const { name, version, license, folder } of await bundledPackages(root, Object.values(metafile.outputs)))
    parts.push(`${name} ${version} (${license ?? 'see below'})\n\n${await licenseTexts(root, folder)}\n`)
  parts.push(...[...new Set(comments.map((text) => text.trim()))].filter((text) => text !== '').toSorted())
  return `${parts.join(`\n${'-'.repeat(80)}\n`)}\n`
}
