// For tests: the command as a process of its own.
import { spawn } from 'node:child_process'
import type { Test } from 'tap'

export interface Ran {
  readonly code: number | NodeJS.Signals
  readonly stdout: string
  readonly stderr: string
  /** The one object on stdout, where `--output json` was given. */
  json(): unknown
}

export interface Running {
  readonly ended: Promise<Ran>
  readonly output: () => string
  kill(signal: NodeJS.Signals): void
}

export interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
}

const main = new URL('./main.ts', import.meta.url).pathname

export function run(t: Test, args: readonly string[], options: RunOptions): Promise<Ran> {
  return start(t, args, options).ended
}

/** With exactly this environment, PATH, and a HOME that is the folder; killed at the end of the test. */
export function start(t: Test, args: readonly string[], { cwd, env = {} }: RunOptions): Running {
  // By env(1), because tap puts its loaders into the environment of whatever is spawned here.
  const { PATH = '', NODE_COMPILE_CACHE } = process.env
  const compiled = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }
  const variables = Object.entries({ PATH, HOME: cwd, ...compiled, ...env }).map((pair) => pair.join('='))
  const child = spawn('env', ['-i', ...variables, process.execPath, main, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<Ran>((resolve) => {
    child.once('close', (code, signal) =>
      resolve({ code: signal ?? code ?? -1, stdout, stderr, json: (): unknown => JSON.parse(stdout) }),
    )
  })
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  })
  return { ended, output: () => stdout + stderr, kill: (signal) => child.kill(signal) }
}
