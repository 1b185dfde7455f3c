// `npm run licenses`: dist/THIRD-PARTY.md, the packages whose code is bundled, under which licence and where, with the
// texts. Fails where a licence is none of those that we may pass on as we do.
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { bundleCommands } from './bundle.ts'
import { agents, cli, control, root } from './bundles.ts'
import { type BundledPackage, licenseTexts } from './licenses.ts'
import { bundleProgram } from './program.ts'
import { basePackages, initPackages } from './rootfs.ts'

// Licences that ask for no more than their text to go along, which the bundles do.
const accepted = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Unlicense',
])

/** True for an SPDX expression that can be met with the accepted ones: all of an AND, one of an OR; no brackets. */
export function isAccepted(license: string | undefined): boolean {
  if (license === undefined) return false
  const either = license.replace(/^\(([^()]*)\)$/, '$1').split(' OR ')
  return either.some((part) => part.split(' AND ').every((one) => accepted.has(one.trim())))
}

export type Bundled = BundledPackage & { readonly places: readonly string[] }

/** What is bundled, by name and version; `dist` takes the bundles. */
export async function listBundled(dist: string): Promise<Bundled[]> {
  const places: [string, readonly BundledPackage[]][] = []
  for (const [name, recipe] of Object.entries({ agents, control })) {
    const commands = await bundleCommands(root, recipe, join(dist, name))
    places.push([name, commands.flatMap(({ packages }) => packages)])
  }
  places.push(['cli', (await bundleProgram(root, cli.entry, join(dist, 'cli/aether'))).packages])
  const all = new Map<string, Bundled>()
  for (const [place, packages] of places) {
    for (const one of packages) {
      const key = `${one.name}@${one.version}`
      const before = all.get(key)?.places ?? []
      all.set(key, { ...one, places: [...new Set([...before, place])] })
    }
  }
  return [...all].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one)
}

export async function formatThirdParty(all: readonly Bundled[]): Promise<string> {
  const rows = all.map(
    (one) => `| ${one.name} | ${one.version} | ${one.license ?? 'none stated'} | ${one.places.join(', ')} |`,
  )
  const texts = await Promise.all(
    all.map(
      async ({ name, version, folder }) =>
        `## ${name} ${version}\n\n\`\`\`\n${await licenseTexts(root, folder)}\n\`\`\`\n`,
    ),
  )
  return `# What of others is bundled

The images hold Node besides, under \`/usr/share/doc/nodejs/copyright\`, and files of these Debian packages, each with its
licence under \`/usr/share/doc/NAME/copyright\`: ${[...basePackages, ...initPackages].join(', ')}.

| package | version | licence | in |
|---|---|---|---|
${rows.join('\n')}

${texts.join('\n')}`
}

if (import.meta.main) {
  const file = join(root, 'dist/THIRD-PARTY.md')
  const all = await listBundled(join(root, 'dist'))
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, await formatThirdParty(all))
  console.log(`${relative(root, file)}: ${all.length} packages`)
  const others = all.filter(({ license }) => !isAccepted(license))
  for (const { name, version, license } of others)
    console.error(
      `licenses: ${name} ${version} is under ${license ?? 'no stated licence'}: replace it, or accept that in images/third-party.ts`,
    )
  if (others.length > 0) process.exitCode = 1
}
