// Runs a program that we need (npm, git, kubectl): never through a shell, bounded in time and output, ended with us.
import { execa } from 'execa'
import { Failure } from './failure.ts'
import type { Env } from './settings.ts'

export interface ProgramRun {
  readonly cwd: string
  readonly env: Env
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

export interface ProgramResult {
  /** Null where it was ended by a signal or its time. */
  readonly exitCode: number | null
  readonly stdout: string
  /** Both streams, as they came. */
  readonly lines: readonly string[]
}

/** Nothing but what it is given, and no more than we can hold. */
const bounded = {
  extendEnv: false,
  reject: false,
  all: true,
  stdin: 'ignore',
  maxBuffer: 16 * 1024 * 1024,
} as const

/** Throws Failure `runtime` where it is not installed; `next` says how to get it. */
export async function runProgram(
  file: string,
  args: readonly string[],
  { cwd, env, signal, timeoutMs }: ProgramRun,
  next: string,
): Promise<ProgramResult> {
  const result = await execa(file, args, {
    ...bounded,
    cwd,
    env,
    timeout: timeoutMs,
    cancelSignal: signal,
  })
  signal.throwIfAborted()
  if (result.code === 'ENOENT') throw missingProgram(file, next, result.cause)
  if (result.timedOut)
    throw new Failure('runtime', `${file} took longer than ${timeoutMs / 1000} s and was ended`, {
      next,
      detail: lastLines(result.all),
    })
  return { exitCode: result.exitCode ?? null, stdout: result.stdout, lines: lastLines(result.all, 10_000) }
}

export function missingProgram(file: string, next: string, cause?: unknown): Failure {
  return new Failure('runtime', `${file} is not installed, or not on PATH`, { cause, next })
}

export function lastLines(text: string, count = 20): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .slice(-count)
}

export interface GroupOptions {
  readonly cwd: string
  /** All of it. */
  readonly env: Env
  readonly limitMs: number
  readonly signal: AbortSignal
}

/** Runs what a user wrote, with all that it starts as one group, which is killed when its time is over or `signal` is aborted. */
export async function runGroup(file: string, args: readonly string[], { cwd, env, limitMs, signal }: GroupOptions) {
  const child = execa(file, args, {
    ...bounded,
    cwd,
    env,
    detached: true,
  })
  let isLate = false
  const endRest = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // ESRCH: nothing of it is left.
    }
  }
  const timer = setTimeout(() => {
    isLate = true
    endRest()
  }, limitMs)
  signal.addEventListener('abort', endRest, { once: true })
  const result = await child
  clearTimeout(timer)
  signal.removeEventListener('abort', endRest)
  return { result, isLate, endRest }
}
