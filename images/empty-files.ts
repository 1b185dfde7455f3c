// Files that a package loads at once and that nothing here uses: an empty module takes the place of each. prom-client's
// push gateway alone brings https, and with it TLS and the whole of crypto, into processes that speak neither.
import type { Plugin } from 'esbuild'

/** `files` are paths below node_modules, as in prom-client/lib/pushgateway.js. */
export function emptyFiles(files: readonly string[]): Plugin {
  return {
    name: 'empty-files',
    setup(build) {
      if (files.length === 0) return
      const filter = new RegExp(`/node_modules/(?:${files.join('|').replaceAll('.', '\\.')})$`)
      build.onLoad({ filter }, () => ({ contents: '', loader: 'js' }))
    },
  }
}
