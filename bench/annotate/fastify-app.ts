// examples/fastify as such an app is best shipped: one bundled file, and a package.json that starts it.
import { join } from 'node:path'
import { bundleApp } from '../app-folder.ts'
import { root } from '../processes.ts'
import { addCompileCache } from '../swap/compile-cache.ts'

/** Makes the app's folder below `folder` and answers its path. */
export async function bundleFastify(folder: string): Promise<string> {
  const app = join(folder, 'fastify')
  await bundleApp(join(root, 'examples/fastify'), app)
  return app
}

/** The same with V8's compile cache in it. */
export async function bundleWithCache(folder: string): Promise<string> {
  const app = await bundleFastify(folder)
  await addCompileCache(app)
  return app
}
