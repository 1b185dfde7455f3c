// Which paths of an app's folder stay out of a release: the default ignores and `.aetherignore`, which has the syntax of
// .gitignore, so that `!name` takes back a default.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import ignore from 'ignore'
import { errnoOf } from '../basics/failure.ts'

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

/** Of a path relative to the folder; that of a folder ends in `/`. */
export type IsIgnored = (path: string) => boolean

/** `withModules`: whether node_modules is taken as it is. */
export async function loadIgnoreRules(folder: string, withModules: boolean): Promise<IsIgnored> {
  const own = await readIgnoreFile(folder)
  const rules = newRules()
    .add([...defaultIgnores, ...(withModules ? [] : ['node_modules'])])
    .add(own)
  // What was installed is taken as it is: a default name in there belongs to a package.
  const moduleRules = newRules().add(own)
  return (path) => (/(?:^|\/)node_modules\/./.test(path) ? moduleRules : rules).ignores(path)
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
