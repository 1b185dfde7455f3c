// Our programs by their paths: started, asked for what they say and for the most memory that they ever held.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
const lookMs = 10

/** The bundle as in the images where it is built (`npm run build`), else the sources. */
export function agentFile(agent: 'init-fetch' | 'fetcher' | 'supervisor'): string {
  const bundled = `dist/agents/lib/${agent}.js`
  return existsSync(join(root, bundled)) ? bundled : `agents/${agent}/main.ts`
}

export interface Running {
  readonly child: ChildProcess
  /** What it wrote so far. */
  readonly lines: readonly string[]
  /** The first line, at or after `from`, with this text or of this form. */
  line(wanted: string | RegExp, from?: number): Promise<string>
  /** Megabytes, the most there ever were; the last that was seen where it has ended. */
  peakMb(): number
  /** Resolves with the exit code. */
  readonly ended: Promise<number>
  stop(): Promise<void>
}

/** `file` is a path below the root of the project. */
export function start(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  /** Another user and group than ours, by number. */
  user?: number,
): Running {
  const child = spawn(process.execPath, [`${root}${file}`, ...args], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(user !== undefined && { uid: user, gid: user }),
  })
  const lines: string[] = []
  const waiting = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      for (const look of waiting) look()
    })
  let peakKb = 0
  const look = () => {
    peakKb = readPeakKb(child.pid) ?? peakKb
  }
  // A process takes its figures with it when it ends.
  const looking = setInterval(look, lookMs)
  const kill = () => child.kill('SIGKILL')
  // Ahead of whoever removes the folders that it writes to.
  process.prependOnceListener('exit', kill)
  const ended = once(child, 'close').then(() => {
    clearInterval(looking)
    process.off('exit', kill)
    for (const one of waiting) one()
    return child.exitCode ?? -1
  })
  return {
    child,
    ended,
    lines,
    line: (wanted, from = 0) =>
      new Promise((resolve, reject) => {
        const find = () => {
          const found = lines
            .slice(from)
            .find((line) => (typeof wanted === 'string' ? line.includes(wanted) : wanted.test(line)))
          if (found === undefined && child.exitCode === null) return
          waiting.delete(find)
          if (found === undefined) reject(new Error(`${file} ended without "${wanted}":\n${lines.join('\n')}`))
          else resolve(found)
        }
        waiting.add(find)
        find()
      }),
    peakMb() {
      look()
      return peakKb / 1024
    },
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** proc(5); undefined where the process has ended. */
function readPeakKb(pid: number | undefined): number | undefined {
  try {
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return peak === undefined ? undefined : Number(peak)
  } catch {
    return undefined
  }
}
