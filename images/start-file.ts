// All that a command loads at its start as one CommonJS file. As the forty ES modules that esbuild makes of it, reading and
// linking them is a third of an agent's start (docs/adr/0009). What it may load later stays in files of its own.
import { basename } from 'node:path'
import { build, type Plugin, transform } from 'esbuild'
import type { Chunks } from './chunks.ts'

const commonJs = {
  platform: 'node',
  target: 'node26',
  format: 'cjs',
  minifySyntax: true,
  minifyWhitespace: true,
  define: { 'import.meta.dirname': '__dirname', 'import.meta.url': '__url' },
  // `import()` becomes a require too, so that Node's loader for ES modules is never needed.
  supported: { 'dynamic-import': false },
  // What was an ES module is strict. An image has no character in its paths that a URL writes otherwise.
  banner: '"use strict";const __url="file://"+__filename;',
  logLevel: 'error',
} as const

/** Path to text of the files in which `entry` and what it needs then lie. */
export async function layOutQuick(chunks: Chunks, entry: string): Promise<ReadonlyMap<string, string>> {
  const [start, all] = [new Set(chunks.reach(entry, false)), chunks.reach(entry, true)]
  const shared = new Set<string>()
  for (const path of all)
    for (const taken of chunks.importsOf(path))
      if (start.has(taken.path) && (taken.isLater || !start.has(path))) shared.add(taken.path)
  // A worker shares nothing with the thread that starts it, so it needs what it takes of the start in files too.
  const ofWorkers = new Set(all.filter(chunks.isNamedByUrl).flatMap((path) => chunks.reach(path, false)))
  const texts = new Map([[entry, await mergeStart(chunks, entry, [...shared].toSorted())]])
  for (const path of all)
    if (path !== entry && (shared.has(path) || ofWorkers.has(path) || !start.has(path)))
      texts.set(path, await toCommonJs(chunks.texts.get(path) ?? ''))
  return texts
}

async function mergeStart(chunks: Chunks, entry: string, shared: readonly string[]): Promise<string> {
  const merge: Plugin = {
    name: 'merge',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.\// }, ({ path, kind }) =>
        kind === 'import-statement' ? { path: `lib/${basename(path)}`, namespace: 'merge' } : { path, external: true },
      )
      onLoad({ filter: /./, namespace: 'merge' }, ({ path }) => ({ contents: chunks.texts.get(path) ?? '' }))
    },
  }
  const { outputFiles } = await build({
    ...commonJs,
    banner: { js: commonJs.banner },
    stdin: { contents: startOf(entry, shared), resolveDir: '/' },
    bundle: true,
    plugins: [merge],
    write: false,
  })
  return outputFiles.map(({ text }) => text).join('')
}

/**
 * What is loaded later requires some of this by the files it would lie in, which are there for those who start elsewhere: it is
 * told that they are loaded, so that there is one of each: at the end of the script, which is before any `import()` in it is
 * done. https://nodejs.org/api/modules.html#requirecache
 */
function startOf(entry: string, shared: readonly string[]): string {
  const lines = [
    `import './${basename(entry)}'`,
    `function loaded(name, exports) {
       const id = __dirname + name
       require.cache[id] = Object.assign(new module.constructor(id, module), { filename: id, exports, loaded: true })
     }`,
  ]
  for (const [index, path] of shared.entries()) {
    lines.push(`import * as x${index} from './${basename(path)}'`, `loaded('/${basename(path)}', x${index})`)
  }
  return lines.join('\n')
}

async function toCommonJs(text: string): Promise<string> {
  const { code } = await transform(text, commonJs)
  return code
}
