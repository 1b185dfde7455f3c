// V8's compile cache of an app, in its folder: what `aether pack --compile-cache` puts into an artifact.
import { execFile } from 'node:child_process'
import { chmod, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { compileCachePath } from '@aether/contract/layout'

const flush = `data:text/javascript,import { flushCompileCache } from 'node:module';
setTimeout(() => { flushCompileCache(); process.exit() }, 1000)`

export async function addCompileCache(folder: string): Promise<void> {
  const cache = join(folder, compileCachePath)
  await promisify(execFile)(process.execPath, ['--import', flush, 'server.js'], {
    cwd: folder,
    env: { PORT: '0', NODE_COMPILE_CACHE: cache, NODE_COMPILE_CACHE_PORTABLE: '1' },
  })
  const files = await readdir(cache, { recursive: true, withFileTypes: true })
  for (const file of files.filter((one) => one.isFile())) await chmod(join(file.parentPath, file.name), 0o644)
}
