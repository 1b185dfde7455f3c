// examples/fastify as such an app is best shipped: one bundled file, and a package.json that starts it.
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const source = fileURLToPath(new URL('../../examples/fastify', import.meta.url))

/** Makes the app's folder below `folder` and answers its path. */
export async function bundleFastify(folder: string): Promise<string> {
  const app = join(folder, 'fastify')
  await mkdir(app)
  await build({
    entryPoints: [join(source, 'server.js')],
    outfile: join(app, 'server.js'),
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    // Fastify is CommonJS and calls `require('node:...')`, which an ES module does not have.
    banner: { js: 'import{createRequire as __cr}from"node:module";const require=__cr(import.meta.url);' },
  })
  await copyFile(join(source, 'package.json'), join(app, 'package.json'))
  return app
}
