// The build step of `aether dev`, as its user wrote it: by a shell, in the app's folder, without the secrets of aether.
import { execa } from 'execa'
import { Failure } from '../basics/failure.ts'
import { lastLines, missingProgram } from '../basics/run-program.ts'
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
  const child = execa('sh', ['-c', command], {
    cwd: folder,
    env: Object.fromEntries(kept),
    extendEnv: false,
    reject: false,
    all: true,
    stdin: 'ignore',
    detached: true,
    maxBuffer: 16 * 1024 * 1024,
  })
  let isLate = false
  // What it started too.
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // ESRCH: nothing of it is left.
    }
  }
  const timer = setTimeout(() => {
    isLate = true
    kill()
  }, timeoutMs)
  signal.addEventListener('abort', kill, { once: true })
  const { code, cause, exitCode, all } = await child
  clearTimeout(timer)
  signal.removeEventListener('abort', kill)
  signal.throwIfAborted()
  if (code === 'ENOENT') throw missingProgram('sh', 'run it where there is a POSIX shell', cause)
  if (exitCode === 0) return
  const how = isLate ? `took longer than ${timeoutMs / 60_000} minutes` : `failed with exit code ${exitCode ?? 'none'}`
  throw new Failure('runtime', `the build ${how}: ${command}`, {
    detail: lastLines(all, 40),
    next: 'correct it and save: the next save builds again',
  })
}
