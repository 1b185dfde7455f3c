// A package that reads files beside itself by `__dirname` finds them in the bundle at `lib/<its name>/`, where an asset has
// to bring them: an ES module has no `__dirname`, and a chunk does not lie where the package's file lay.
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path/posix'
import type { Plugin } from 'esbuild'

const bundleFolder = 'aether:bundle-folder'

/** For the packages of these names; others stay as they are. */
export function packageFolders(names: readonly string[]): Plugin {
  return {
    name: 'package-folder',
    setup(build) {
      if (names.length === 0) return
      build.onResolve({ filter: new RegExp(`^${bundleFolder}$`) }, ({ path }) => ({ path, namespace: bundleFolder }))
      build.onLoad({ filter: /./, namespace: bundleFolder }, () => ({
        contents: 'export const folder = import.meta.dirname',
        loader: 'js',
      }))
      build.onLoad({ filter: new RegExp(`/node_modules/(?:${names.join('|')})/.*\\.c?js$`) }, async ({ path }) => {
        const inside = path.slice(path.lastIndexOf('/node_modules/') + '/node_modules/'.length)
        const place = `(require(${JSON.stringify(bundleFolder)}).folder + ${JSON.stringify(`/${dirname(inside)}`)})`
        const contents = (await readFile(path, 'utf8')).replaceAll(/\b__dirname\b/g, () => place)
        return { contents, loader: 'js' }
      })
    },
  }
}
