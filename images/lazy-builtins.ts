// `import ... from 'node:http'` reads everything that the module exports, also what Node makes only when it is read: a
// WebSocket, and for it an HTTP client of its own, HTTP/2, zlib and workers, some megabytes in each idle agent. `require`
// reads what is asked for. This puts a module between the two that requires. `await import` stays as it is.
import { isBuiltin } from 'node:module'
import type { Plugin } from 'esbuild'

const namespace = 'lazy-builtins'

export const lazyBuiltins: Plugin = {
  name: namespace,
  setup(build) {
    build.onResolve({ filter: /^[a-z]/ }, ({ path, kind }) =>
      kind === 'import-statement' && isBuiltin(path) ? { path, namespace } : undefined,
    )
    build.onLoad({ filter: /./, namespace }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)})`,
      loader: 'js',
    }))
  },
}
