// A command from its start to its end: seconds, and the most memory that any one of its processes held, by GNU time.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'

export interface Ran {
  readonly seconds: number
  readonly rssMb: number
}

export type RunFresh = (command: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Ran>

/** `note` is a path for what GNU time writes. Throws where GNU time is missing. */
export function createRunFresh(note: string): RunFresh {
  // The shell has a `time` too: this is the program.
  const said = spawnSync('time', ['--version'], { encoding: 'utf8' })
  if (!`${said.stdout}${said.stderr}`.includes('GNU')) throw new Error('GNU time is missing: apt-get install time')

  return async (command, env = {}) => {
    const startedAt = performance.now()
    const child = spawn('time', ['-q', '-f', '%M', '-o', note, ...command], {
      // Whatever else the caller has set, such as NODE_EXTRA_CA_CERTS, costs a Node time at its start.
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    })
    // A group of its own, so that nothing of it goes on when this process ends.
    const kill = () => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
    }
    process.prependOnceListener('exit', kill)
    try {
      const [complaint] = await Promise.all([text(child.stderr), once(child, 'exit')])
      const seconds = (performance.now() - startedAt) / 1000
      if (child.exitCode !== 0) throw new Error(`${command.join(' ')} ended with ${child.exitCode}:\n${complaint}`)
      return { seconds, rssMb: Number(await readFile(note, 'utf8')) / 1024 }
    } finally {
      process.off('exit', kill)
    }
  }
}
