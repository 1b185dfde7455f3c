// What the licences of the bundled packages ask for: their text goes along with the code, in one file.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'

/** The licence files of each package with code in the bundle, then the legal comments that its sources carry. */
export async function collectLicenses(root: string, metafile: Metafile, comments: readonly string[]): Promise<string> {
  const folders = new Set<string>()
  for (const output of Object.values(metafile.outputs)) {
    for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
      const folder = /^[^:]*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]
      if (folder !== undefined && bytesInOutput > 0) folders.add(folder)
    }
  }
  const parts: string[] = []
  for (const folder of [...folders].toSorted()) {
    const about: { name?: string; version?: string; license?: string } = JSON.parse(
      await readFile(join(root, folder, 'package.json'), 'utf8'),
    )
    const files = (await readdir(join(root, folder)))
      .filter((name) => /^(licen[cs]e|copying|notice)/i.test(name))
      .toSorted()
    const texts = await Promise.all(files.map((name) => readFile(join(root, folder, name), 'utf8')))
    parts.push(`${about.name} ${about.version} (${about.license ?? 'see below'})\n\n${texts.join('\n').trim()}\n`)
  }
  parts.push(...[...new Set(comments.map((text) => text.trim()))].filter((text) => text !== '').toSorted())
  return `${parts.join(`\n${'-'.repeat(80)}\n`)}\n`
}
