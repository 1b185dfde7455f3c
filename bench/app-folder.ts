// An app's folder as it is best shipped: bundled into one file.
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

/** Bundles the app in `source`, an ES module, to `folder`. */
export async function bundleApp(source: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await build({
    entryPoints: [join(source, 'server.js')],
    outfile: join(folder, 'server.js'),
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    // Fastify is CommonJS and calls `require('node:...')`, which an ES module does not have.
    banner: { js: 'import{createRequire as __cr}from"node:module";const require=__cr(import.meta.url);' },
  })
  await copyFile(join(source, 'package.json'), join(folder, 'package.json'))
}
