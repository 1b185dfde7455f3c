// A process of ours: its marker lines as they come, its whole log in a file.
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Marker, parseMarker } from '@aether/contract/markers'

export interface Running {
  readonly name: string
  readonly logFile: string
  /** Resolves with the first marker from now on that `wanted` takes; rejects when the process ends first. */
  nextMarker(wanted: (marker: Marker) => boolean): Promise<Marker>
  /** Resolves with the exit code. */
  readonly exited: Promise<number>
  stop(): Promise<void>
}

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Where the processes begin, by the names of their logs. */
const entries = {
  control: 'control/main.ts',
  'init-fetch': 'agents/init-fetch/main.ts',
  fetcher: 'agents/fetcher/main.ts',
  supervisor: 'agents/supervisor/main.ts',
} as const

/** Starts a process with this environment on top of ours. */
export function start(name: keyof typeof entries, logDir: string, env: Readonly<Record<string, string>>): Running {
  const logFile = join(logDir, `${name}.log`)
  const log = createWriteStream(logFile, { flags: 'a' })
  const waiting = new Set<(marker: Marker) => void>()
  const child = spawn(process.execPath, [join(root, entries[name])], {
    env: { ...inherited(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      log.write(`${line}\n`)
      const marker = parseMarker(line)
      if (marker !== undefined) for (const take of waiting) take(marker)
    })
  const exited = new Promise<number>((resolve) => {
    child.once('close', (code) => resolve(code ?? 1))
  })
  return {
    name,
    logFile,
    exited,
    nextMarker(wanted) {
      const found = new Promise<Marker>((resolve, reject) => {
        const take = (marker: Marker) => {
          if (!wanted(marker)) return
          waiting.delete(take)
          resolve(marker)
        }
        waiting.add(take)
        void exited.then((code) => reject(new Error(`${name} ended with code ${code}; its log is ${logFile}`)))
      })
      // It may be asked for before it is awaited; an end in between is told to whoever awaits it, if anybody does.
      found.catch(() => {})
      return found
    },
    stop: () => stop(child, exited),
  }
}

async function stop(child: ChildProcess, exited: Promise<number>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
  await exited
}

/** Our environment without settings of ours: what is in a person's shell must not change the demo. */
export function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !name.startsWith('AETHER_') && name !== 'PORT' && name !== 'DATABASE_URL' && name !== 'KUBECONFIG',
    ),
  )
}
