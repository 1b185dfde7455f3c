// Workers and preloads are named by `new URL('./x.ts', import.meta.url)`, which a bundler does not follow: such a file
// becomes an entry of its own, flat beside the others, and its name in the code is rewritten to that place.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import type { Plugin } from 'esbuild'

export type Siblings = ReturnType<typeof createSiblings>

const reference = /(new URL|import\.meta\.resolve)\(\s*(['"])(\.{1,2}\/[^'"]+)\2/g

/** `commands` are the entries known from the start: name to file, relative to `root`. */
export function createSiblings(root: string, commands: Readonly<Record<string, string>>) {
  const nameOf = new Map(Object.entries(commands).map(([name, file]) => [file, name]))
  const named = new Map<string, Set<string>>()

  function add(namer: string, target: string): string {
    const file = relative(root, join(dirname(join(root, namer)), target))
    if (!file.endsWith('.ts') || !existsSync(join(root, file)))
      throw new Error(
        `${namer} names ${target}, which is no TypeScript file of this repository: the bundle cannot carry it`,
      )
    const name = nameOf.get(file) ?? `${basename(dirname(file))}-${basename(file, '.ts')}`
    const other = [...nameOf].find(([path, taken]) => taken === name && path !== file)
    if (other !== undefined) throw new Error(`${file} and ${other[0]} would both be bundled as ${name}.js: rename one`)
    nameOf.set(file, name)
    named.set(namer, (named.get(namer) ?? new Set()).add(`lib/${name}.js`))
    return `./${name}.js`
  }

  const plugin: Plugin = {
    name: 'siblings',
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const namer = relative(root, path)
        if (namer.split('/').includes('node_modules')) return undefined
        const source = await readFile(path, 'utf8')
        const contents = source.replace(
          reference,
          (_, call: string, quote: string, target: string) => `${call}(${quote}${add(namer, target)}${quote}`,
        )
        return { contents, loader: 'ts' }
      })
    },
  }

  return {
    plugin,
    count: () => nameOf.size,
    entries: () => Object.fromEntries([...nameOf].map(([file, name]) => [name, join(root, file)])),
    /** The bundled files that these sources name by URL. */
    namedBy: (sources: readonly string[]) => sources.flatMap((source) => [...(named.get(source) ?? [])]),
  }
}
