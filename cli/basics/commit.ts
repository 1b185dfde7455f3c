// The commit of the folder, for people who read annotations and metrics; never a reason to fail.
import { Failure } from './failure.ts'
import { type ProgramRun, runProgram } from './run-program.ts'

/** The commit's hash, with `-dirty` where the folder has changes; null where it is no repository, or there is no git. */
export async function readCommit(
  folder: string,
  { env, signal }: Pick<ProgramRun, 'env' | 'signal'>,
): Promise<string | null> {
  // No write to the index, and no question on the terminal.
  const quiet = { ...env, GIT_OPTIONAL_LOCKS: '0', GIT_TERMINAL_PROMPT: '0' }
  const git = (...args: readonly string[]) =>
    runProgram('git', args, { cwd: folder, env: quiet, signal, timeoutMs: 10_000 }, 'install git')
  try {
    const head = await git('rev-parse', '--verify', 'HEAD')
    const hash = head.stdout.trim()
    if (head.exitCode !== 0 || !/^[0-9a-f]{40,64}$/.test(hash)) return null
    const status = await git('status', '--porcelain', '--', '.')
    return status.exitCode === 0 && status.stdout.trim() === '' ? hash : `${hash}-dirty`
  } catch (error) {
    if (error instanceof Failure) return null
    throw error
  }
}
