// The build step of `aether dev`, as its user wrote it: by a shell, in the app's folder, without the secrets of aether.
import { Failure } from '../basics/failure.ts'
import { lastLines, missingProgram, runGroup } from '../basics/run-program.ts'
import type { Env } from '../basics/settings.ts'
import { withoutNpm } from '../release/install.ts'

const timeoutMs = 10 * 60_000

export interface BuildOptions {
  readonly folder: string
  readonly env: Env
  readonly signal: AbortSignal
}

/** Throws a Failure with its output where it fails. */
export async function runBuild(command: string, { folder, env, signal }: BuildOptions): Promise<void> {
  const kept = Object.entries(withoutNpm(env)).filter(([name]) => !name.startsWith('AETHER_'))
  const group = { cwd: folder, env: Object.fromEntries(kept), limitMs: timeoutMs, signal }
  const { result, isLate } = await runGroup('sh', ['-c', command], group)
  const { code, cause, exitCode, all } = result
  signal.throwIfAborted()
  if (code === 'ENOENT') throw missingProgram('sh', 'run it where there is a POSIX shell', cause)
  if (exitCode === 0) return
  const how = isLate ? `took longer than ${timeoutMs / 60_000} minutes` : `failed with exit code ${exitCode ?? 'none'}`
  throw new Failure('runtime', `the build ${how}: ${command}`, {
    detail: lastLines(all, 40),
    next: 'correct it and save: the next save builds again',
  })
}
