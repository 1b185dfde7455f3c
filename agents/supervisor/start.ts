// A new process of a release, from its command to the proof that it is ready.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Activation } from '@aether/contract/activation'
import { type ReasonError, refusal } from '@aether/contract/reasons'
import { resolveAppCommand } from './app-command.ts'
import { askApp } from './ask-app.ts'
import { type AppProcess, appEnvironment, type Child, startProcess } from './child.ts'
import { findCompileCache } from './compile-cache.ts'
import type { SupervisorConfig } from './config.ts'
import { releasePath } from './follow.ts'
import { type HeldSockets, isMain } from './held-sockets.ts'
import { runHook } from './hook.ts'
import { withWords } from './last-words.ts'
import type { Spare } from './spare.ts'

export type StartConfig = Pick<
  SupervisorConfig,
  | 'appCommand'
  | 'port'
  | 'readyPath'
  | 'waitsForReady'
  | 'workspaceDir'
  | 'startTimeoutMs'
  | 'graceMs'
  | 'prefixesOutput'
>

/** A worker that listens on no port has nothing to show but that it goes on running. */
const withoutPortMs = 1000
const handMs = 1000
const unheardMs = 250
const quietMs = 1000

/** The process cannot stand beside another one; `message` says why. */
export class CannotOverlap extends Error {
  override readonly name = 'CannotOverlap'
}

export interface Starter {
  /** Runs the release's own hook; what it throws is runHook's. */
  prepare(activation: Activation, signal: AbortSignal): Promise<void>
  /**
   * Starts the release, waits until it proved itself, and lets it accept. Throws ReasonError `unhealthy`, CannotOverlap, or
   * what `signal` aborts with; then the new process is gone.
   */
  beside(activation: Activation, signal: AbortSignal): Promise<Child>
  /** The same where no other process stands beside it: what kept it from taking the held sockets is dropped. */
  alone(activation: Activation, signal: AbortSignal): Promise<Child>
}

export function createStarter(sockets: HeldSockets, spare: Spare, config: StartConfig): Starter {
  const { port, readyPath, graceMs } = config

  async function start(activation: Activation, signal: AbortSignal, isAlone: boolean): Promise<Child> {
    const release = pathOf(activation, config)
    const command = resolveAppCommand(release, config.appCommand)
    const compileCache = findCompileCache(release)
    signal.throwIfAborted()
    const isHolding = sockets.hasMain(port)
    if (isAlone && !isHolding) await isQuiet(port, signal)
    const child =
      spare.take(command, release, activation, compileCache) ??
      (await startProcess({
        file: command.file,
        args: command.args,
        cwd: release,
        env: { ...appEnvironment(activation, port), ...command.env },
        sockets,
        port,
        isHolding,
        asksPath: readyPath !== undefined,
        isSpare: false,
        modules: [],
        isPrefixed: config.prefixesOutput,
        compileCache,
      }))
    const startedAt = performance.now()
    child.belongsTo(activation)
    try {
      await becomesReady(child, { isHolding, isAlone }, config, signal)
      const readyAt = performance.now()
      if (isHolding) await go(child, config, signal)
      child.link.order({ do: 'hand' })
      await isHeld(child, sockets, port)
      return { ...child, activation, startedAt, readyAt }
    } catch (error) {
      await child.stop(graceMs)
      await child.fellSilent
      throw error instanceof Error ? withWords(error, child.lastWords) : error
    }
  }

  return {
    async prepare(activation, signal) {
      const release = pathOf(activation, config)
      await runHook(release, appEnvironment(activation, port), config.startTimeoutMs, signal)
    },
    beside: (activation, signal) => start(activation, signal, false),
    async alone(activation, signal) {
      try {
        return await start(activation, signal, true)
      } catch (error) {
        if (!(error instanceof CannotOverlap)) throw error
        sockets.drop(() => false)
        // Who connected to what it holds would be reset with its end.
        await spare.letGo()
        return start(activation, signal, true)
      }
    },
  }
}

/**
 * Until nobody answers on the port: the kernel may hold the socket of a process that has ended for some milliseconds more,
 * and a connection to it must not be taken for the new one's. Who else listens there is the app's to find out.
 */
async function isQuiet(port: number, signal: AbortSignal): Promise<void> {
  const until = performance.now() + quietMs
  const takes = () => askApp({ port, readyPath: undefined, kind: 'tcp' }, quietMs)
  while (port !== 0 && performance.now() < until && (await takes())) await sleep(10, undefined, { signal })
}

function pathOf({ digest }: Activation, config: StartConfig): string {
  try {
    return releasePath(config.workspaceDir, digest)
  } catch (cause) {
    throw refusal('unhealthy', 'start', `release ${digest} is not on disk`, { cause })
  }
}

interface Circumstances {
  readonly isHolding: boolean
  /** No other process of the app runs. */
  readonly isAlone: boolean
}

async function becomesReady(
  child: AppProcess,
  { isHolding, isAlone }: Circumstances,
  config: StartConfig,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = performance.now()
  for (;;) {
    signal.throwIfAborted()
    const waited = performance.now() - startedAt
    const left = config.startTimeoutMs - waited
    if (left <= 0) throw notReady(child, config)
    if (!child.isAlive()) throw await ended(child, isHolding)
    const { unheld, conflict } = child.link.facts()
    if (unheld !== undefined && (conflict || !isAlone)) throw new CannotOverlap(unheld)
    if (config.port === 0 && !isHolding) {
      if (isReadyWithoutPort(child, config, waited)) return
    } else if (await isReady(child, isHolding, config, Math.min(left, 1000))) return
    await Promise.race([child.link.changed(), child.exited, sleep(waited < 1000 ? 5 : 50)])
  }
}

/** A first process with PORT=0: a unix socket is as good as a port, and some have none at all. */
function isReadyWithoutPort(child: AppProcess, { port, waitsForReady }: StartConfig, waitedMs: number): boolean {
  if (child.saidReady()) return true
  const listens = child.link.facts().listening.some((one) => isMain(one, port))
  return !waitsForReady && (listens || waitedMs > withoutPortMs)
}

async function isReady(
  child: AppProcess,
  isHolding: boolean,
  config: StartConfig,
  timeoutMs: number,
): Promise<boolean> {
  const { port, readyPath, waitsForReady } = config
  if (waitsForReady && !child.saidReady()) return false
  const found = child.link.facts().listening.find((one) => isMain(one, port))
  // A process that holds back is never asked on the shared port: another one answers there.
  if (isHolding && found === undefined) return false
  if (found !== undefined && (readyPath === undefined || child.saidReady())) return true
  const asked = isHolding ? found?.door : port
  if (asked === undefined) return false
  return Promise.race([
    askApp({ port: asked, readyPath, kind: found?.kind ?? 'http' }, timeoutMs),
    child.exited.then(() => false),
  ])
}

/** Until the socket of a first process came, so that a swap at once after it finds it; bounded, as it may never come. */
async function isHeld(child: AppProcess, sockets: HeldSockets, port: number): Promise<void> {
  const startedAt = performance.now()
  const isComing = () => {
    const { attached, listening, unheld } = child.link.facts()
    const isHeard = listening.some((one) => isMain(one, port))
    if ((port === 0 && !isHeard) || !attached || unheld !== undefined || sockets.hasMain(port)) return false
    // It can be connected to before it was heard to listen; one that listens by other means is never heard.
    const mostMs = isHeard ? handMs : unheardMs
    return performance.now() - startedAt < mostMs
  }
  while (child.isAlive() && isComing()) await sleep(1)
}

/** Accepts from now on. */
async function go(child: AppProcess, config: StartConfig, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  child.link.order({ do: 'go' })
  const until = performance.now() + config.startTimeoutMs
  while (!child.link.facts().went) {
    if (!child.isAlive()) throw await ended(child, true)
    const left = until - performance.now()
    if (left <= 0)
      throw refusal('unhealthy', 'not_ready', 'the app was ready, but its event loop did not turn any more')
    await Promise.race([child.link.changed(), child.exited, sleep(left)])
  }
}

async function ended(child: AppProcess, isHolding: boolean): Promise<Error> {
  const how = await child.exited
  await child.fellSilent
  const { attached, unheld } = child.link.facts()
  if (isHolding && !attached) return new CannotOverlap('the app is no Node process that takes the preload')
  // Bound by other means than the preload sees: a worker thread, a native module.
  if (isHolding && child.lastWords.text().includes('EADDRINUSE'))
    return new CannotOverlap(
      unheld ?? 'it binds a port that is held by other means than net.Server of its first thread',
    )
  return refusal('unhealthy', 'exited', `the app ended while it started (${how}); its last lines are in the log`)
}

function notReady(child: AppProcess, { port, readyPath, waitsForReady, startTimeoutMs }: StartConfig): ReasonError {
  const ports = child.link
    .facts()
    .listening.map((one) => one.port)
    .filter((one) => one !== 0)
  const elsewhere =
    ports.length > 0 && !ports.includes(port)
      ? ` (it listens on ${ports.join(', ')}: let it listen on PORT, or set PORT to its port)`
      : ''
  const what = waitsForReady
    ? "it did not say process.send('ready'), which AETHER_WAIT_READY asks for"
    : port === 0
      ? 'it did not listen on the unix socket that the process before it listens on, or did not answer there'
      : readyPath === undefined
        ? `port ${port} took no connection${elsewhere}`
        : `${readyPath} on port ${port} did not answer 2xx${elsewhere}`
  return refusal('unhealthy', 'not_ready', `the app was not ready in ${startTimeoutMs} ms: ${what}`)
}
