// `await import('a CommonJS package')` gives only `default` once esbuild has split it off, where Node also gives the
// names it exports. This puts a module between the two that has the names Node would give.
import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Plugin } from 'esbuild'

const namespace = 'lazy-commonjs'

export const lazyCommonJs: Plugin = {
  name: namespace,
  setup(build) {
    const root = build.initialOptions.absWorkingDir ?? process.cwd()
    build.onResolve(
      { filter: /^[^./]/, namespace: 'file' },
      async ({ path, kind, importer, resolveDir, pluginData }) => {
        if (kind !== 'dynamic-import' || pluginData === namespace || path.startsWith('node:')) return undefined
        const found = await build.resolve(path, { kind, importer, resolveDir, pluginData: namespace })
        if (found.errors.length > 0 || found.external || !isCommonJs(found.path)) return undefined
        return { path: relative(root, found.path), namespace }
      },
    )
    build.onLoad({ filter: /./, namespace }, async ({ path }) => {
      const file = join(root, path)
      const names = Object.keys(await import(pathToFileURL(file).href)).filter((name) => /^[\w$]+$/.test(name))
      const lines = names
        .filter((name) => name !== 'default')
        .map((name, index) => `const x${index} = all.${name}\nexport { x${index} as ${name} }`)
      const contents = [`const all = require(${JSON.stringify(file)})`, 'export default all', ...lines].join('\n')
      return { contents, loader: 'js', resolveDir: '/' }
    })
  },
}

function isCommonJs(file: string): boolean {
  if (!file.endsWith('.js') || !file.includes('/node_modules/')) return file.endsWith('.cjs')
  const manifest = findPackageJSON(pathToFileURL(file))
  if (manifest === undefined) return true
  const { type }: { type?: string } = JSON.parse(readFileSync(manifest, 'utf8'))
  return type !== 'module'
}
