// For tests: an agent as a process of its own, with what it wrote, and conditions to wait for.

import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

const patienceMs = 20_000

export interface TestProcess {
  readonly pid: number
  readonly lines: readonly string[]
  readonly exited: Promise<number | NodeJS.Signals>
  kill(signal: NodeJS.Signals): void
  /** The first line at or after `from` that has `text`; fails with the whole output where none comes. */
  line(text: string, from?: number): Promise<string>
}

/** Runs a file by Node with exactly this environment (and PATH); killed at the end of the test. */
export function startProcess(
  t: Test,
  file: string,
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): TestProcess {
  const lines: string[] = []
  // By env(1), because tap puts its loaders into the environment of whatever is spawned here. What npm test has compiled is not compiled again.
  const { PATH = '', NODE_COMPILE_CACHE } = process.env
  const compiled = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }
  const variables = Object.entries({ PATH, ...compiled, ...env }).map(([name, value]) => `${name}=${value}`)
  const child = spawn('env', ['-i', ...variables, process.execPath, file, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => lines.push(line))
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? code ?? -1))
  })
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await exited
    clearTimeout(late)
  })
  return {
    pid: child.pid ?? 0,
    lines,
    exited,
    kill: (signal) => child.kill(signal),
    async line(text, from = 0) {
      let found: string | undefined
      await eventually(text, () => {
        found = lines.slice(from).find((line) => line.includes(text))
        return found !== undefined || child.exitCode !== null
      }).catch(() => {
        throw new Error(`no line with ${JSON.stringify(text)} came; there are:\n${lines.join('\n')}`)
      })
      if (found === undefined)
        throw new Error(`the process ended without a line with ${JSON.stringify(text)}:\n${lines.join('\n')}`)
      return found
    },
  }
}

/** A folder of the test's own, removed after every teardown: without one before it, tap removes it under running processes. */
export function testFolder(t: Test, content: NonNullable<Parameters<Test['testdir']>[0]> = {}): string {
  t.teardown(() => {})
  return t.testdir(content)
}

/** Waits until the condition holds; fails after 20 s, naming it. A condition that throws does not hold yet. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const until = performance.now() + patienceMs
  for (;;) {
    try {
      if (await holds()) return
    } catch {
      // Not yet.
    }
    if (performance.now() > until) throw new Error(`waited ${patienceMs} ms in vain for ${what}`)
    await sleep(10)
  }
}

/** A port that is free, below those that the kernel gives to clients (ip_local_port_range): no connection takes it meanwhile. */
export async function freePort(): Promise<number> {
  const { createServer } = await import('node:net')
  for (;;) {
    const port = randomInt(14_000, 30_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, () => resolve(true))
    })
    if (!isFree) continue
    await new Promise<void>((resolve) => server.close(() => resolve()))
    return port
  }
}
