// The release's own hook, `aether.beforeServe` in its package.json: database migrations, self-checks. It runs to its end
// before the release's process is started; where it fails, the activation fails.
import { spawn } from 'node:child_process'
import { refusal } from '@aether/contract/reasons'
import { resolveHook } from './app-command.ts'
import { withoutCompileCache } from './compile-cache.ts'
import { passOn, withWords } from './last-words.ts'

/** Throws ReasonError `unhealthy`, detail `hook`, or what `signal` aborts with; then nothing of it runs any more. */
export async function runHook(
  release: string,
  env: NodeJS.ProcessEnv,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const command = resolveHook(release)
  if (command === undefined) return
  signal.throwIfAborted()
  const child = spawn(command.file, [...command.args], {
    cwd: release,
    detached: true,
    stdio: ['ignore', 'inherit', 'pipe'],
    env: withoutCompileCache({ ...env, ...command.env }),
  })
  const words = passOn(child.stderr, process.stderr)
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // ESRCH: nothing of it is left.
    }
  }
  limit.addEventListener('abort', kill, { once: true })
  const how = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    // Not before its last words were read.
    child.once('close', (code, ended) => resolve(code === 0 ? undefined : (ended ?? `exit code ${code}`)))
  })
  limit.removeEventListener('abort', kill)
  kill()
  signal.throwIfAborted()
  if (how === undefined) return
  const why = limit.aborted ? `was not done in ${timeoutMs} ms` : `failed (${how})`
  throw withWords(
    refusal('unhealthy', 'hook', `the hook aether.beforeServe ${why}; its last lines are in the log`),
    words,
  )
}
