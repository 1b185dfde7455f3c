// Copies what belongs into a release to a clean folder: all but the default ignores and `.aetherignore`, which has the
// syntax of .gitignore, so that `!name` takes back a default.
import { constants } from 'node:fs'
import { copyFile, mkdir, readdir, readFile, readlink, realpath, symlink } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import ignore from 'ignore'
import { errnoOf, Failure } from './failure.ts'

export const ignoreFileName = '.aetherignore'

/** Never meant for a pod: secrets, the history, what is installed anew, what tools leave. */
export const defaultIgnores: readonly string[] = [
  '.git',
  '.hg',
  '.svn',
  '.env',
  '.env.*',
  '*.pem',
  '.npmrc',
  '.aether',
  '.aetherignore',
  '.aether.json',
  '.DS_Store',
  'npm-debug.log*',
  'yarn-debug.log*',
  'yarn-error.log*',
  '.pnpm-debug.log*',
  '*.tsbuildinfo',
]

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
): Promise<{ readonly isIgnored: (path: string) => boolean }> {
  const own = await readIgnoreFile(from)
  const rules = newRules()
    .add([...defaultIgnores, ...(withModules ? [] : ['node_modules'])])
    .add(own)
  // What was installed is taken as it is: a default name in there belongs to a package.
  const moduleRules = newRules().add(own)
  const isIgnored = (path: string) => (/(?:^|\/)node_modules\/./.test(path) ? moduleRules : rules).ignores(path)
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
      else
        throw new Failure('failed', `${path} is neither file, folder nor symlink`, {
          next: `leave it out: add it to ${ignoreFileName}`,
        })
    }
  }
  await copy('')
  return { isIgnored }
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

async function refuseEscape(root: string, path: string): Promise<void> {
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

function newRules() {
  return ignore({ ignorecase: false })
}

async function readIgnoreFile(folder: string): Promise<string> {
  return readFile(join(folder, ignoreFileName), 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return ''
    throw error
  })
}
