// The warm spare: a process that is booted up to the point where only the release's code is missing. The next start of the
// app, a swap or one after a crash, is made by it; then another one is booted.
import { dirname, join, resolve } from 'node:path'
import type { Activation } from '@aether/contract/activation'
import { metrics } from '@aether/contract/metric-names'
import type { Log } from '@aether/runtime/log'
import { createGauge, type Registry } from '@aether/runtime/metrics'
import type { AppCommand } from './app-command.ts'
import { type AppProcess, appEnvironment, startProcess } from './child.ts'
import type { SupervisorConfig } from './config.ts'
import type { HeldSockets } from './held-sockets.ts'
import { ownBytes, roomForAnother } from './memory.ts'

export interface Spare {
  /** The spare as this release's process; undefined where there is none that fits. */
  take(
    command: AppCommand,
    release: string,
    activation: Activation,
    compileCache: string | undefined,
  ): AppProcess | undefined
  /** Soon: a spare that fits what is held now, and the app, whose memory says what a second one needs. */
  renew(app?: AppProcess): void
  /** Resolves when no spare holds a socket open that is held here no more. */
  letGo(): Promise<void>
  stop(): Promise<void>
}

type State = 'off' | 'none' | 'starting' | 'ready'
export type SpareConfig = Pick<
  SupervisorConfig,
  'port' | 'readyPath' | 'cgroupDir' | 'spareMaxBytes' | 'workspaceDir' | 'strategy' | 'prefixesOutput'
>

const empty = join(import.meta.dirname, 'preload/empty.cjs')
/** After a swap the old process and the new one have the processor first. */
const pauseMs = 300
const states: readonly State[] = ['off', 'none', 'starting', 'ready']

export function createSpare(sockets: HeldSockets, config: SpareConfig, log: Log, registry: Registry): Spare {
  const gauge = createGauge(registry, metrics.spareState)
  let spare: { readonly process: AppProcess; readonly fits: string } | undefined
  let timer: NodeJS.Timeout | undefined
  let isBooting = false
  let isStopped = config.spareMaxBytes === 0
  show(isStopped ? 'off' : 'none')

  function show(now: State): void {
    for (const state of states) gauge.set({ state }, state === now ? 1 : 0)
  }
  /** The sockets that it was given: with others it would be of no use, and hold open what is to be closed. */
  function held(): string {
    return JSON.stringify(sockets.list())
  }
  function discard(): Promise<void> {
    const old = spare?.process
    spare = undefined
    show(isStopped ? 'off' : 'none')
    return old?.stop(0) ?? Promise.resolve()
  }

  async function boot({ pid, link }: AppProcess): Promise<void> {
    const fits = held()
    if (isStopped || spare?.fits === fits || (config.port !== 0 && !sockets.has(config.port))) return
    await discard()
    const lacking = roomForAnother(pid, config.cgroupDir)
    if (lacking !== undefined) return log.debug({ why: lacking }, 'no spare process')
    show('starting')
    const process = await startProcess({
      file: globalThis.process.execPath,
      args: [empty],
      cwd: dirname(empty),
      env: globalThis.process.env,
      sockets,
      port: config.port,
      isHolding: sockets.hasMain(config.port),
      asksPath: config.readyPath !== undefined,
      isSpare: true,
      modules: link.facts().modules,
      isPrefixed: config.prefixesOutput,
      compileCache: undefined,
    })
    spare = { process, fits }
    if (fits !== held()) return discard()
    void process.exited.then(() => {
      if (spare?.process === process) void discard()
    })
    while (spare?.process === process && !process.link.facts().isSpare)
      await Promise.race([process.link.changed(), process.exited])
    if (spare?.process !== process) return
    const bytes = ownBytes(process.pid)
    if (bytes <= config.spareMaxBytes) return show('ready')
    isStopped = true
    await discard()
    log.warn(
      { bytes, most: config.spareMaxBytes },
      'a spare process needs more than AETHER_SPARE_MAX_MB: there is none',
    )
  }

  return {
    take(command, release, activation, compileCache) {
      const found = spare
      if (found === undefined || !found.process.isAlive() || !found.process.link.facts().isSpare) return undefined
      const [entry, ...args] = command.args
      if (found.fits !== held() || entry === undefined || !isPlain(command, entry)) return undefined
      spare = undefined
      show('none')
      const env: Record<string, string> = {}
      for (const [name, value] of Object.entries({ ...appEnvironment(activation, config.port), ...command.env }))
        if (value !== undefined && globalThis.process.env[name] !== value) env[name] = value
      found.process.link.order({
        do: 'become',
        cwd: release,
        entry: resolve(release, entry),
        args,
        env,
        command: [command.file, ...command.args].join(' '),
        ...(compileCache !== undefined && { compileCache }),
      })
      return found.process
    },
    renew(app) {
      clearTimeout(timer)
      if (isStopped) return
      // What it holds must not outlive its holder.
      if (spare !== undefined && spare.fits !== held()) void discard()
      if (app === undefined) return
      timer = setTimeout(() => {
        if (isBooting) return this.renew(app)
        isBooting = true
        boot(app)
          .catch((error: unknown) => {
            void discard()
            log.warn({ err: error }, 'a spare process cannot be started')
          })
          .finally(() => {
            isBooting = false
          })
      }, pauseMs)
    },
    async letGo() {
      if (spare !== undefined && spare.fits !== held()) await discard()
    },
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await discard()
    },
  }
}

/** `node file args`: options and variables that Node reads when it boots come too late for a process that has. */
function isPlain(command: AppCommand, entry: string): boolean {
  const early = Object.keys(command.env).some((name) => name.startsWith('NODE_') && name !== 'NODE_ENV')
  return command.file === process.execPath && !entry.startsWith('-') && !early
}
