// What people use without us: one folder whose files are replaced, and a process over it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type App, manifestOf, versionOf } from './apps.ts'
import { descendants } from './children.ts'
import type { Target } from './client/protocol.ts'
import type { Contestant } from './contestants.ts'

export interface Place {
  readonly app: App
  /** Holds the app; no other contestant has it. */
  readonly folder: string
  readonly targets: readonly Target[]
  readonly env: Readonly<Record<string, string>>
}

const graceMs = 3000

/** The app alone, never changed. */
export function startDirect({ folder, env, targets }: Place): Contestant {
  const { child, stop } = startNode(['server.js'], folder, env)
  return {
    name: 'direct',
    isOurs: false,
    targets,
    version: () => versionOf(folder),
    change: undefined,
    restarts: false,
    renew: async () => {},
    processes: () => [{ role: 'app', pid: pidOf(child) }],
    stop,
  }
}

/** New files, SIGTERM, and a new process when the old one has ended. */
export function startRestart({ folder, env, targets }: Place): Contestant {
  let running = startNode(['server.js'], folder, env)
  return {
    name: 'restart',
    isOurs: false,
    targets,
    version: () => versionOf(folder),
    async change(version) {
      const at = await replaceFiles(folder, version)
      await running.stop()
      running = startNode(['server.js'], folder, env)
      return at
    },
    restarts: false,
    renew: async () => {},
    processes: () => [{ role: 'app', pid: pidOf(running.child) }],
    stop: () => running.stop(),
  }
}

/** `--watch-path`, because `--watch` follows a file only until it is replaced for the first time. */
export function startNodeWatch({ folder, env, targets }: Place): Contestant {
  const { child, stop } = startNode([`--watch-path=${folder}`, 'server.js'], folder, env)
  return {
    name: 'node-watch',
    isOurs: false,
    targets,
    version: () => versionOf(folder),
    change: (version) => replaceFiles(folder, version),
    restarts: false,
    renew: async () => {},
    processes: () => [
      { role: 'watcher', pid: pidOf(child) },
      ...descendants(pidOf(child)).map((pid) => ({ role: 'app', pid })),
    ],
    stop,
  }
}

/** The version is all that a release changes. Resolves with the moment when it is there. */
export async function replaceFiles(folder: string, version: string): Promise<number> {
  const file = join(folder, 'package.json')
  // Outside the folder, so that nobody who watches it sees two changes.
  const fresh = `${folder}.package.json`
  await writeFile(fresh, manifestOf(folder, version))
  const at = Date.now()
  await rename(fresh, file)
  return at
}

/** A Node in a group of its own, which is killed whole when it does not end, and when the bench does. */
export function startNode(args: readonly string[], folder: string, env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
  })
  const killGroup = () => {
    try {
      process.kill(-pidOf(child), 'SIGKILL')
    } catch {
      // ESRCH: nothing of the group is left.
    }
  }
  process.prependOnceListener('exit', killGroup)
  const ended = once(child, 'exit')
  return {
    child,
    async stop() {
      child.kill('SIGTERM')
      const late = setTimeout(killGroup, graceMs)
      await ended
      clearTimeout(late)
      killGroup()
      process.off('exit', killGroup)
    },
  }
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('the process was not started')
  return pid
}
