// The app's process: leader of a group of its own, so that a kill reaches what it started too, with the preload in it.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { Duplex, Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Activation } from '@aether/contract/activation'
import { hexOf } from '@aether/contract/digest'
import { isObject } from '@aether/contract/json'
import { refusal } from '@aether/contract/reasons'
import { withoutCompileCache } from './compile-cache.ts'
import { type HeldSockets, parseSocketKey, type SocketKey } from './held-sockets.ts'
import { type LastWords, passOn } from './last-words.ts'
import { createLink, type Link } from './link.ts'
import { prefixLines } from './prefix.ts'
import { killGroup } from './process-group.ts'

/** A process with the preload in it. */
export interface AppProcess {
  readonly pid: number
  /** Resolves once, with words such as `exit code 1` or `SIGKILL`. */
  readonly exited: Promise<string>
  readonly isAlive: () => boolean
  readonly link: Link
  readonly lastWords: LastWords
  /** Resolves when it has ended and its last words were read; whom it left behind may hold them open: not for long. */
  readonly fellSilent: Promise<void>
  /** The app said process.send('ready'). */
  readonly saidReady: () => boolean
  /** From now on its output is this release's, where it is prefixed. */
  belongsTo(activation: Activation): void
  /** SIGTERM to the process, and SIGKILL to its whole group when it ended or `graceMs` are over. */
  stop(graceMs: number): Promise<void>
}

/** The same, running a release that proved itself. */
export interface Child extends AppProcess {
  readonly activation: Activation
  /** performance.now() when it began to run the release, and when it was ready. */
  readonly startedAt: number
  readonly readyAt: number
}

export interface ProcessOptions {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  /** What the process may listen on, and where what it binds itself is kept. */
  readonly sockets: HeldSockets
  readonly port: number
  /** Nothing is accepted before the order `go`. */
  readonly isHolding: boolean
  /** It will be asked on its ready path before that. */
  readonly asksPath: boolean
  /** It waits for the order `become`. */
  readonly isSpare: boolean
  /** What a spare loads of Node before there is a release. */
  readonly modules: readonly string[]
  /** Each line of its output says which release and process it is of. */
  readonly isPrefixed: boolean
  /** Folder of the release's own compile cache. */
  readonly compileCache: string | undefined
}

const preload = join(import.meta.dirname, 'preload/preload.cjs')
const silenceMs = 100
const controlFd = 4
const firstSocketFd = 5

/** Throws ReasonError `unhealthy` where it cannot be started. */
export async function startProcess(options: ProcessOptions): Promise<AppProcess> {
  const { file, args, cwd, sockets, isPrefixed } = options
  const held = sockets.list()
  const child = spawn(file, [...args], {
    cwd,
    detached: true,
    stdio: ['ignore', isPrefixed ? 'pipe' : 'inherit', 'pipe', 'ipc', 'pipe', ...held.map(({ fd }) => fd)],
    env: environment(options, held),
  })
  let alive = true
  let isReady = false
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      alive = false
      // Workers that it leaves behind hold its sockets, and would go on answering beside the next one.
      if (child.pid !== undefined) void killGroup(child.pid)
      resolve(signal ?? `exit code ${code}`)
    })
  })
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  child.on('message', (message: unknown, handle: unknown) => {
    if (message === 'ready') isReady = true
    if (!isObject(message) || message.aether !== 'socket') return
    const key = parseSocketKey(message)
    if (key === undefined) return
    sockets.take(key, handle)
    giveCopy(key)
  })
  // For a listen() of the same process later: a port that is held here cannot be bound anew.
  const giveCopy = (key: SocketKey) => {
    const socket = sockets.handleOf(key)
    // The message is one that Node keeps from the app; where it cannot be sent, the process has ended.
    if (socket !== undefined && child.connected)
      child.send({ cmd: 'NODE_AETHER_SOCKET', ...key }, socket, () => undefined)
  }
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.on('error', (cause) => {
      reject(refusal('unhealthy', 'command', `${file} cannot be started: ${cause.message}`, { cause }))
    })
  })
  const { control, stderr } = pipesOf(child)
  const pid = child.pid ?? 0
  let release = 'none'
  const prefixed = (stream: 'stdout' | 'stderr') => {
    const lines = prefixLines(() => `digest=${release} pid=${pid} stream=${stream} `)
    lines.pipe(process[stream], { end: false })
    return lines
  }
  child.stdout?.pipe(prefixed('stdout'))
  return {
    pid,
    exited,
    isAlive: () => alive,
    link: createLink(control, giveCopy),
    lastWords: passOn(stderr, isPrefixed ? prefixed('stderr') : process.stderr),
    fellSilent: exited.then(() => Promise.race([closed, sleep(silenceMs)])),
    saidReady: () => isReady,
    belongsTo({ digest }) {
      release = hexOf(digest).slice(0, 12)
    },
    async stop(graceMs) {
      if (alive) {
        child.kill('SIGTERM')
        const timer = setTimeout(() => void killGroup(pid), graceMs)
        await exited
        clearTimeout(timer)
      }
      await killGroup(pid)
      control.destroy()
    },
  }
}

/** What the app finds in its environment: ours, and what the contract names. */
export function appEnvironment(activation: Activation, port: number): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PORT: port === 0 ? undefined : String(port),
    AETHER_DIGEST: `sha256:${hexOf(activation.digest)}`,
    AETHER_BUILD_COMMIT: activation.commit ?? '',
  }
}

function environment(
  { env, port, isHolding, asksPath, isSpare, modules, compileCache }: ProcessOptions,
  held: ReturnType<HeldSockets['list']>,
) {
  const nodeOptions = env.NODE_OPTIONS ?? null
  const fds = held.map((one, at) => ({ ...one, fd: firstSocketFd + at }))
  const given = { controlFd, port, isHolding, asksPath, isSpare, modules }
  const settings = { ...given, held: fds, nodeOptions, compileCache }
  return {
    ...withoutCompileCache(env),
    // Quoted, for a path with spaces; the preload puts both back before the app's code runs.
    NODE_OPTIONS: `--require ${JSON.stringify(preload)} ${nodeOptions ?? ''}`.trimEnd(),
    AETHER_PRELOAD: JSON.stringify(settings),
  }
}

function pipesOf(child: ChildProcess): { readonly control: Duplex; readonly stderr: Readable } {
  const control = child.stdio[controlFd]
  // Both were asked for above; types do not know it.
  if (!(control instanceof Duplex) || !(child.stderr instanceof Readable)) throw new TypeError('a pipe is missing')
  return { control, stderr: child.stderr }
}
