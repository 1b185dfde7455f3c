// aether dev --hot: each save of the folder serves in the live pods.
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { appOf } from './app-of.ts'
import { type Burst, createBurst, untilDue } from './burst.ts'
import type { CommandContext, CommandDefinition } from './command.ts'
import { withControl } from './connect.ts'
import { formatReport, reportRecord } from './dev-line.ts'
import { takeDevLock } from './dev-lock.ts'
import { showLogs } from './dev-logs.ts'
import { createDevRound, type DevReport, type DevRound, type DevRoundOptions } from './dev-round.ts'
import { createDevTree } from './dev-tree.ts'
import { watchFolder } from './dev-watch.ts'
import { Failure } from './failure.ts'
import { refuseUnknownApp } from './known-app.ts'
import { loadProject } from './project.ts'
import { loadSigningKey } from './signing.ts'
import { shortDigest } from './table.ts'
import { readWish, specOf } from './wish.ts'

export const dev: CommandDefinition = {
  usage: 'dev [folder]',
  summary: 'bring each save of a folder to the live pods of its app',
  about:
    'Deploys the folder as aether deploy --dev-hot does, and again after each save, with one line for each: what changed, what ' +
    'took how long, or why the new code did not come up, while the last good release serves on. What .aetherignore and the ' +
    'defaults leave out is not watched; modules are installed again where package.json, the lockfile or .npmrc changed. Shows ' +
    "the app's logs by kubectl where there is a cluster. Ctrl-C ends it, and the app goes on serving what it has. It needs " +
    'a control; without one, or with nothing but rights on pods, it does not work yet.',
  options: [
    ['--hot', 'replace the release in the live pods at each save (the one way there is)'],
    ['--build <command>', 'run it in the folder before each pack, by a shell; its output is shown where it fails'],
    ['--no-logs', "do not show the app's logs"],
    ['--app <name>', "name of the app (default: package.json's name)"],
    ['--namespace <name>', 'namespace of the app (default: default)'],
    ['--environment <name>', 'such as staging; a label for people'],
    ['--replicas <n>', 'number of pods'],
    ['--port <n>', 'port that the app listens on (it gets it as PORT)'],
    ['--ready-path <path>', 'path that answers 2xx when the app is ready'],
    ['--env <NAME=VALUE...>', 'variable for the app (may be repeated)'],
    ['--timeout <seconds>', 'longest wait for a release to serve (default: 300)'],
    ['--allow-scripts', 'run the install scripts of dependencies; they would have your rights and secrets'],
    ['--no-install', 'take node_modules as it is (for pnpm, yarn, bun or an install of your own)'],
  ],
  examples: ['aether dev --hot', 'aether dev ./services/shop --hot --build "npm run build" --no-logs'],
  async run(context) {
    const { flags, cwd, env, output, signal } = context
    if (!flags.isSet('hot'))
      throw new Failure('usage', 'aether dev has one way of working so far', { next: 'write aether dev --hot' })
    const wish = readWish(flags)
    const build = flags.text('build')
    const project = await loadProject(resolve(cwd, context.args[0] ?? '.'))
    const folder = await realpath(project.folder)
    return withControl(
      context,
      async ({ control, settings }) => {
        const app = appOf(settings, project.appName)
        const namespace = settings.namespace.value
        const key = settings.signingKey && (await loadSigningKey(settings.signingKey, output.warn))
        if (key === undefined) output.warn('AETHER_SIGNING_KEY is not set: the releases are not signed')
        await refuseUnknownApp(control, app)
        const { warn } = output
        const unlock = await takeDevLock({ app, namespace, url: settings.url.value.href, folder, env, warn })
        try {
          return await inFolder('aether-dev-', (work) => {
            const what = { folder, work, control, app, namespace, key, build, timeoutMs: wish.timeoutMs }
            const spec = specOf({ ...settings, devHot: true }, wish)
            return followFolder(context, { ...what, spec, env, output, signal })
          })
        } finally {
          await unlock()
        }
      },
      folder,
    )
  },
}

/** Watch, tree, logs and passes, and the end of them all. */
async function followFolder(context: CommandContext, options: Omit<DevRoundOptions, 'tree' | 'burst'>): Promise<never> {
  const { flags, env, cwd, output, signal } = context
  const { folder, work, app, namespace } = options
  const { warn } = output
  const install = flags.isSet('install')
  const burst = createBurst()
  const over = new AbortController()
  const tree = await createDevTree(folder, work, {
    env,
    signal,
    install,
    allowScripts: flags.isSet('allow-scripts'),
    warn,
  })
  const round = createDevRound({ ...options, tree, burst })
  // Before the first pass, so that no save falls in between.
  const watch = await watchFolder(folder, { withModules: !install, warn }, burst.touch)
  output.line(`watching   ${folder} for ${app} in ${namespace}`)
  const query = { app, namespace, env, cwd, signal: AbortSignal.any([signal, over.signal]) }
  const logs = flags.choice('logs') === false ? undefined : showLogs(query, output)
  try {
    return await followSaves(context, round, burst)
  } finally {
    over.abort()
    burst.close()
    await Promise.all([watch.close(), logs])
    sayWhatRuns(context, app, namespace, round.served())
  }
}

/** A temporary one, which is gone at the end. */
async function inFolder<T>(prefix: string, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), prefix)))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const firstRetryMs = 1_000
const lastRetryMs = 5_000

/** Until it is interrupted, or nothing can be done any more. */
async function followSaves({ output, signal }: CommandContext, round: DevRound, burst: Burst): Promise<never> {
  let [began, isFirst, retryMs] = [performance.now(), true, 0]
  for (;;) {
    const since = burst.take()
    if (retryMs === 0) began = isFirst ? began : (since ?? performance.now())
    const report = await round.run()
    if (report?.outcome === 'waiting' && (!isFirst || report.stage === 'serving')) {
      isFirst = false
      if (retryMs === 0) sayWaiting(output.warn, report)
      retryMs = Math.min(lastRetryMs, retryMs === 0 ? firstRetryMs : retryMs * 1.5)
      await untilDue(burst.due(), signal, retryMs)
      continue
    }
    retryMs = 0
    if (report !== undefined) {
      if (isFirst) refuseFirst(report)
      const totalMs = performance.now() - began
      for (const line of report.failure?.detail ?? []) output.line(`  ${line}`)
      output.line(formatReport(report, totalMs, output.colours))
      output.result(reportRecord(report, totalMs))
    }
    isFirst = false
    if (report?.again !== true) await untilDue(burst.due(), signal)
  }
}

/** What saving does not make better ends the command, before anybody waits for it. */
function refuseFirst({ failure, stage }: DevReport): void {
  if (failure !== null && stage !== 'build' && stage !== 'serving') throw failure
}

function sayWaiting(warn: (text: string) => void, { failure }: DevReport): void {
  if (failure !== null)
    warn(
      `${failure.message}${failure.code === undefined ? '' : ` (${failure.code})`}; it goes on by itself when that is over`,
    )
}

function sayWhatRuns({ output }: CommandContext, app: string, namespace: string, served: string | undefined): void {
  if (served === undefined) return
  output.line(`end        ${app} in ${namespace} goes on serving ${shortDigest(served)}; aether stop ${app} ends it`)
}
