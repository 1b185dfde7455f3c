// A process of ours: its marker lines as they come, its whole log in a file. It ends with us, killed or not: the pipe that is its
// stdin closes then.
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Marker, parseMarker } from '@aether/contract/markers'

export interface Running {
  readonly name: string
  /** What it said last, for a message: its log goes with the demo's folder. */
  lastWords(): string
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

// In a worker stdin is another one.
const endWithUs = `
  import { isMainThread } from 'node:worker_threads'
  if (isMainThread) process.stdin.on('close', () => process.kill(process.pid, 'SIGTERM')).resume()
`
const preload = `data:text/javascript,${encodeURIComponent(endWithUs)}`
const keptLines = 4

/** Starts a process with this environment on top of ours. */
export function start(name: keyof typeof entries, logDir: string, env: Readonly<Record<string, string>>): Running {
  const logFile = join(logDir, `${name}.log`)
  const log = createWriteStream(logFile, { flags: 'a' })
  const kept: string[] = []
  const waiting = new Set<(marker: Marker) => void>()
  log.once('error', (cause) => {
    throw new Error(`${logFile} cannot be written (${cause.message}); free some space, or set TMPDIR`, { cause })
  })
  const child = spawn(process.execPath, ['--import', preload, join(root, entries[name])], {
    env: { ...inherited(), ...env },
    stdio: 'pipe',
  })
  child.stdin.on('error', () => {})
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      log.write(`${line}\n`)
      kept.push(line)
      if (kept.length > keptLines) kept.shift()
      const marker = parseMarker(line)
      if (marker !== undefined) for (const take of waiting) take(marker)
    })
  const exited = new Promise<number>((resolve) => {
    child.once('close', (code) => resolve(code ?? 1))
  })
  const lastWords = () => (kept.length === 0 ? ', and said nothing' : `; it said last:\n  ${kept.join('\n  ')}`)
  return {
    name,
    exited,
    lastWords,
    nextMarker(wanted) {
      const found = new Promise<Marker>((resolve, reject) => {
        const take = (marker: Marker) => {
          if (!wanted(marker)) return
          waiting.delete(take)
          resolve(marker)
        }
        waiting.add(take)
        void exited.then((code) => reject(new Error(`${name} ended with code ${code}${lastWords()}`)))
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
