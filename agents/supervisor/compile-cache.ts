// V8's compile cache is code that runs in place of the source it was made from. So one is used only where it came inside the
// signed artifact and cannot be written by the app; every other is kept from the app (docs/adr/0013-compile-cache.md).
import { accessSync, constants, lstatSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { compileCachePath } from '@aether/contract/layout'

/** Where Node would be told of another one. */
const names = ['NODE_COMPILE_CACHE', 'NODE_COMPILE_CACHE_PORTABLE', 'NODE_COMPILE_CACHE_READONLY'] as const

/** An environment in which neither a variable nor the app's own `module.enableCompileCache()` turns one on. */
export function withoutCompileCache(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, ...Object.fromEntries(names.map((name) => [name, undefined])), NODE_DISABLE_COMPILE_CACHE: '1' }
}

/** The folder of the release's cache; undefined where it has none, or one that this user, who is the app too, may write. */
export function findCompileCache(release: string): string | undefined {
  // Whoever runs the pod wants none.
  if (process.env.NODE_DISABLE_COMPILE_CACHE !== undefined) return undefined
  const folder = join(release, compileCachePath)
  const versions = namesIn(folder)
  if (versions.length === 0) return undefined
  for (const path of [release, dirname(folder), folder, ...versions.map((name) => join(folder, name))])
    if (!isOutOfReach(path)) return undefined
  return folder
}

/** A folder on a read-only mount, or one of somebody else that this user may not write. Its owner could change its mode. */
function isOutOfReach(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found?.isDirectory() !== true) return false
  try {
    accessSync(path, constants.W_OK)
    return false
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    return code === 'EROFS' || (code === 'EACCES' && found.uid !== process.geteuid?.())
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
