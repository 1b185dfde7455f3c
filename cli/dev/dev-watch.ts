// Tells of each change in an app's folder that can matter to the release. node_modules is not watched file by file: package.json
// and the lockfile say when it changes.
import { once } from 'node:events'
import { relative } from 'node:path'
import { type FSWatcher, watch } from 'chokidar'
import { errnoOf, Failure } from '../basics/failure.ts'
import { ignoreFileName, loadIgnoreRules } from '../release/ignore-rules.ts'

/** Not part of a release, but what it is made by. */
const alsoWatched = new Set([ignoreFileName, '.npmrc'])
/** What npm and pnpm write last where they are run by hand: for `--no-install`. */
export const installedMarks: ReadonlySet<string> = new Set([
  'node_modules/.package-lock.json',
  'node_modules/.modules.yaml',
])

export interface FolderWatch {
  close(): Promise<void>
}

/** Resolves when the watch has begun. */
export async function watchFolder(
  folder: string,
  { withModules, warn }: { readonly withModules: boolean; readonly warn: (text: string) => void },
  onChange: () => void,
): Promise<FolderWatch> {
  let isClosed = false
  const open = async (): Promise<FSWatcher> => {
    const isIgnored = await loadIgnoreRules(folder, true)
    const watcher = watch(folder, {
      ignoreInitial: true,
      followSymlinks: false,
      ignorePermissionErrors: true,
      // Asked twice: of a name alone a rule for folders cannot be decided.
      ignored(path, stats) {
        const name = relative(folder, path)
        if (name === '' || alsoWatched.has(name) || stats === undefined) return false
        if (/(?:^|\/)node_modules(?:\/|$)/.test(name))
          return !withModules || (name !== 'node_modules' && !installedMarks.has(name))
        return isIgnored(stats.isDirectory() ? `${name}/` : name)
      },
    })
    try {
      await once(watcher, 'ready')
    } catch (error) {
      await watcher.close()
      throw watchFailure(folder, error)
    }
    watcher.on('error', (error) => warn(watchFailure(folder, error).message))
    watcher.on('all', (_, path) => {
      onChange()
      if (relative(folder, path) === ignoreFileName) void renew()
    })
    return watcher
  }
  /** By other rules other folders are to be watched. */
  const renew = async () => {
    const before = current
    const next = open().catch(async (error: unknown) => {
      warn(watchFailure(folder, error).message)
      return before
    })
    current = next
    const [old, now] = await Promise.all([before, next])
    if (now !== old) await old.close()
    if (isClosed) await now.close()
    onChange()
  }
  let current = open()
  await current
  return {
    async close() {
      isClosed = true
      await (await current).close()
    },
  }
}

function watchFailure(folder: string, cause: unknown): Failure {
  const code = errnoOf(cause)
  const message = cause instanceof Error ? cause.message : String(cause)
  const isLimit = code === 'ENOSPC' || code === 'EMFILE'
  return new Failure('io', `${folder} cannot be watched: ${message}`, {
    cause,
    code,
    next: isLimit
      ? `raise fs.inotify.max_user_watches (or ulimit -n), or leave folders out: add them to ${ignoreFileName}`
      : 'check who may read there',
  })
}
