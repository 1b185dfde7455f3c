// Copies what belongs into a release to a clean folder: all but what the rules leave out.
import { constants } from 'node:fs'
import { copyFile, mkdir, readdir, readlink, realpath, symlink } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { errnoOf, Failure } from '../basics/failure.ts'
import { type IsIgnored, ignoreFileName, loadIgnoreRules } from './ignore-rules.ts'

export interface CopyOptions {
  /** Whether node_modules is copied as it is. */
  readonly withModules: boolean
  readonly signal: AbortSignal
}

/** `to` must exist and be empty. Answers a test of which paths are left out. */
export async function copyClean(
  from: string,
  to: string,
  { withModules, signal }: CopyOptions,
): Promise<{ readonly isIgnored: IsIgnored }> {
  const isIgnored = await loadIgnoreRules(from, withModules)
  const copy = async (folder: string): Promise<void> => {
    for (const entry of await readdir(join(from, folder), { withFileTypes: true })) {
      signal.throwIfAborted()
      const path = join(folder, entry.name)
      if (isIgnored(entry.isDirectory() ? `${path}/` : path)) continue
      const [source, target] = [join(from, path), join(to, path)]
      if (entry.isDirectory()) {
        await mkdir(target)
        await copy(path)
      } else if (entry.isSymbolicLink()) await symlink(await readlink(source), target)
      else if (entry.isFile()) await copyFile(source, target, constants.COPYFILE_FICLONE)
      else throw strangeEntry(path)
    }
  }
  await copy('')
  return { isIgnored }
}

/** For what no release may hold, such as a socket. */
export function strangeEntry(path: string): Failure {
  return new Failure('failed', `${path} is neither file, folder nor symlink`, {
    next: `leave it out: add it to ${ignoreFileName}`,
  })
}

/** Refuses every symlink of the tree that leads out of it: the agents would refuse the release. */
export async function refuseEscapes(tree: string): Promise<void> {
  const root = await realpath(tree)
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) await walk(path)
      if (entry.isSymbolicLink()) await refuseEscape(root, path)
    }
  }
  await walk(root)
}

/** `root` without links; `path` below it. */
export async function refuseEscape(root: string, path: string): Promise<void> {
  const target = await readlink(path)
  const written = resolve(dirname(path), target)
  // As the kernel follows it; a link to what is not there is taken by its text.
  const followed = await realpath(path).catch((error: unknown) => (errnoOf(error) === 'ENOENT' ? written : undefined))
  const stays = followed !== undefined && isInside(root, written) && isInside(root, followed)
  if (stays && !isAbsolute(target)) return
  throw new Failure('failed', `the symlink ${relative(root, path)} leads out of the folder, to ${target}`, {
    next: `put a copy in its place, or leave it out: add it to ${ignoreFileName}`,
  })
}

function isInside(root: string, path: string): boolean {
  return path === root || path.startsWith(root + sep)
}
