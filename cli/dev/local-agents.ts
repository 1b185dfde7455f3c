// The agents as processes of this machine, for `aether dev --local`. Each leads a group of its own, so that Ctrl-C reaches them by
// us alone and in order, and each ends by itself where we are killed: its stdin closes.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Failure } from '../basics/failure.ts'
import { lastLines } from '../basics/run-program.ts'
import type { Env } from '../basics/settings.ts'

export interface LocalAgent {
  readonly name: AgentName
  readonly isAlive: () => boolean
  /** Rejects when it has ended, with a Failure that has its last lines. */
  readonly ended: Promise<never>
  stop(): Promise<void>
}

export type AgentName = 'fetcher' | 'supervisor'

/** As `aether` lies: a file of the sources, or dist/cli/aether beside dist/agents. */
function fileOf(name: AgentName): string {
  const candidates = [`../../agents/${name}/main.ts`, `../agents/bin/${name}`].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  )
  const found = candidates.find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new Failure('usage', `there are no agents beside aether: ${candidates.at(-1) ?? ''} is missing`, {
    next: 'copy dist/agents of npm run build beside the folder of aether, or run it from there',
  })
}

// In a worker stdin is another one.
const endsWithUs = `
  import { isMainThread } from 'node:worker_threads'
  if (isMainThread) process.stdin.on('close', () => process.kill(process.pid, 'SIGTERM')).on('error', () => {}).resume()
`
/** The supervisor drains, and gives the app its grace. */
const patienceMs = 30_000
const keptLines = 40

export function startAgent(name: AgentName, env: Env, onLine: (line: string) => void): LocalAgent {
  const script = `data:text/javascript,${encodeURIComponent(endsWithUs)}`
  const child = spawn(process.execPath, ['--import', script, fileOf(name)], { env, stdio: 'pipe', detached: true })
  const kept: string[] = []
  let isAlive = true
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      kept.push(line)
      kept.splice(0, kept.length - keptLines)
      onLine(line)
    })
  child.stdin.on('error', () => {})
  // Not `close`: whom the app left behind may hold our end of its output.
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  }).then((how) => {
    isAlive = false
    return how
  })
  const ended = exited.then((how) => {
    throw new Failure('runtime', `the ${name} ended with ${how}`, {
      detail: lastLines(kept.join('\n'), 10),
      next: 'the next save starts it again',
    })
  })
  // It may end while nobody waits.
  ended.catch(() => {})
  const kill = (signal: NodeJS.Signals) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal)
    } catch {
      // ESRCH: it has ended.
    }
  }
  return {
    name,
    isAlive: () => isAlive,
    ended,
    async stop() {
      if (isAlive && child.pid !== undefined) child.kill('SIGTERM')
      const late = setTimeout(() => kill('SIGKILL'), patienceMs)
      await exited
      clearTimeout(late)
    },
  }
}
