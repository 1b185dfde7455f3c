// The production install in the clean copy. Scripts of dependencies do not run: they would run with the rights and secrets
// of whoever packs. Only npm so far.
import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, Failure } from '../basics/failure.ts'
import { runProgram } from '../basics/run-program.ts'
import type { Env } from '../basics/settings.ts'
import type { Project } from './project.ts'

export interface InstallOptions {
  readonly env: Env
  readonly signal: AbortSignal
  readonly allowScripts: boolean
  /** Whether .npmrc stays in the release. */
  readonly keepNpmrc: boolean
  readonly warn: (text: string) => void
}

const timeoutMs = 15 * 60_000

/** Where nothing has to be installed, nothing is done. `copy` is the clean copy of the project's folder. */
export async function installModules(project: Project, copy: string, options: InstallOptions): Promise<void> {
  if (!project.hasDependencies) return
  const { lockfile } = project
  if (lockfile !== 'npm' && lockfile !== 'none')
    throw new Failure('runtime', `${project.folder} is locked by ${lockfile}, and aether installs by npm only`, {
      next: 'install for production yourself (such as pnpm install --prod --node-linker=hoisted), then run it with --no-install',
    })
  if (lockfile === 'none')
    options.warn('there is no package-lock.json: two packs may differ; npm install --package-lock-only makes one')
  if (process.platform !== 'linux')
    options.warn(
      `native packages are installed for ${process.platform}, and pods run Linux: pack on Linux where there are any`,
    )
  const forgetNpmrc = await lendNpmrc(project.folder, copy, options.keepNpmrc)
  const command = lockfile === 'npm' ? ['ci'] : ['install', '--no-package-lock']
  const args = [
    ...command,
    '--omit=dev',
    options.allowScripts ? '--ignore-scripts=false' : '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--no-progress',
    '--no-update-notifier',
    '--loglevel=error',
  ]
  const { exitCode, lines } = await runProgram(
    'npm',
    args,
    { cwd: copy, env: withoutNpm(options.env), signal: options.signal, timeoutMs },
    'install Node with npm',
  )
  await forgetNpmrc()
  if (exitCode !== 0)
    throw new Failure('runtime', `npm ${args.slice(0, 3).join(' ')} failed with exit code ${exitCode ?? 'none'}`, {
      detail: withoutUsage(lines).slice(-20),
      next: `see whether it works by itself: cd ${project.folder} && npm ${command.join(' ')} --omit=dev`,
    })
}

/** Where the lockfile does not fit, npm says why and then shows a page of its help. */
function withoutUsage(lines: readonly string[]): readonly string[] {
  const usage = lines.findIndex((line) => /^npm error (?:Clean install a project|Usage:)/.test(line))
  return usage === -1 ? lines : lines.slice(0, usage).filter((line) => line !== 'npm error')
}

/** npm needs the app's .npmrc for its registry; it may hold a token, so it does not stay. */
async function lendNpmrc(from: string, to: string, keep: boolean): Promise<() => Promise<void>> {
  const target = join(to, '.npmrc')
  try {
    await copyFile(join(from, '.npmrc'), target)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    return () => Promise.resolve()
  }
  return () => (keep ? Promise.resolve() : rm(target))
}

/** What an npm around us (`npx aether`) says of its own project does not hold for the copy. */
export function withoutNpm(env: Env): Env {
  const own =
    /^npm_(?:package_|lifecycle_|command$|execpath$|config_(?:local_prefix|global_prefix|prefix|workspace|noproxy)$)/
  return Object.fromEntries(Object.entries(env).filter(([name]) => !own.test(name) && name !== 'INIT_CWD'))
}
