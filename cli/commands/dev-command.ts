// aether dev --hot: each save of the folder serves in the live pods.
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { CommandContext, CommandDefinition } from '../basics/command.ts'
import { Failure } from '../basics/failure.ts'
import { loadSettings, type Settings } from '../basics/settings.ts'
import { openKubeApi } from '../cluster/kube-api.ts'
import { chooseContext } from '../cluster/kube-context.ts'
import { refuseMissingRights } from '../cluster/pod-rights.ts'
import { appOf } from '../control/app-of.ts'
import { withControl } from '../control/connect.ts'
import { refuseUnknownApp } from '../control/known-app.ts'
import { createControlPlace } from '../dev/control-place.ts'
import { choosePlace, refuseStrangeFlags } from '../dev/dev-choice.ts'
import { followFolder } from '../dev/dev-follow.ts'
import { chooseDevSigner, loadDevSigner } from '../dev/dev-key.ts'
import { type DevLock, takeDevLock } from '../dev/dev-lock.ts'
import { openLocalPlace } from '../dev/local-place.ts'
import { openPodsPlace } from '../dev/pods-place.ts'
import { loadProject } from '../release/project.ts'
import { readWish, specOf, specOptions } from './wish.ts'

export const dev: CommandDefinition = {
  usage: 'dev [folder]',
  summary: 'bring each save of a folder to the live pods of its app',
  about:
    'Deploys the folder as aether deploy --dev-hot does, and again after each save, with one line for each: what changed, what ' +
    'took how long, or why the new code did not come up, while the last good release serves on. What .aetherignore and the ' +
    'defaults leave out is not watched; modules are installed again where package.json, the lockfile or .npmrc changed. Shows ' +
    "the app's logs, where there is a cluster by kubectl. Ctrl-C ends it, and the app goes on serving what it has; with --local, " +
    'which needs no cluster and no control, the app ends too.',
  options: [
    ['--hot', 'replace the release in the live pods at each save (the one way there is)'],
    ['--build <command>', 'run it in the folder before each pack, by a shell; its output is shown where it fails'],
    ['--pods', 'run it in the pods of the app, by rights on them alone: no control'],
    ['--context <name>', 'with --pods: the context of kubectl (default: the current one, asked for once)'],
    ['--local', 'run the agents on this machine: no cluster, no control'],
    ['--no-logs', "do not show the app's logs"],
    ...specOptions,
    ['--env <NAME=VALUE...>', 'variable for the app (may be repeated)'],
    ['--timeout <seconds>', 'longest wait for a release to serve (default: 300)'],
    ['--allow-scripts', 'run the install scripts of dependencies; they would have your rights and secrets'],
    ['--no-install', 'take node_modules as it is (for pnpm, yarn, bun or an install of your own)'],
  ],
  examples: ['aether dev --hot', 'aether dev ./services/shop --hot --build "npm run build" --no-logs'],
  async run(context) {
    const { flags, cwd, env, output } = context
    if (!flags.isSet('hot'))
      throw new Failure('usage', 'aether dev has one way of working so far', { next: 'write aether dev --hot' })
    const project = await loadProject(resolve(cwd, context.args[0] ?? '.'))
    const folder = await realpath(project.folder)
    const settings = await loadSettings(flags, env, folder, output.warn)
    const app = appOf(settings, project.appName)
    const kind = choosePlace(flags, settings.place)
    refuseStrangeFlags(flags, kind)
    const work = { context, settings, app, folder }
    if (kind === 'local') return devLocal(work)
    return kind === 'pods' ? devInPods(work) : devByControl(work)
  },
}

interface Work {
  readonly context: CommandContext
  readonly settings: Settings
  readonly app: string
  readonly folder: string
}

async function devByControl({ context, app, folder }: Work): Promise<never> {
  const { flags, env, cwd, output, signal } = context
  const wish = readWish(flags)
  return withControl(
    context,
    async ({ control, settings }) => {
      const namespace = settings.namespace.value
      const url = settings.url.value.href
      await refuseUnknownApp(control, app)
      const signer = await chooseDevSigner(control, app, await loadDevSigner(settings, env, output.warn), output.warn)
      return inWork({ app, namespace, place: url, folder, env, warn: output.warn }, (work) => {
        const spec = specOf({ ...settings, devHot: true }, wish)
        const { timeoutMs } = wish
        const what = { control, url, folder, app, namespace, spec, signer, timeoutMs, env, cwd, output, signal }
        return followFolder(context, { folder, work, app }, createControlPlace(what))
      })
    },
    folder,
  )
}

async function devLocal({ context, settings, app, folder }: Work): Promise<never> {
  const { flags, env, output } = context
  const { timeoutMs, env: appEnv = {} } = readWish(flags)
  const signer = await loadDevSigner(settings, env, output.warn)
  const lock = { app, namespace: folder, place: 'this machine', folder, env, warn: output.warn }
  return inWork(lock, async (work) => {
    const port = settings.port?.value ?? defaultPort
    const readyPath = settings.readyPath?.value
    const place = await openLocalPlace({ app, work, signer, port, readyPath, appEnv, timeoutMs, env })
    return followFolder(context, { folder, work, app }, place)
  })
}

async function devInPods({ context, settings, app, folder }: Work): Promise<never> {
  const { flags, env, cwd, output, signal } = context
  const { warn } = output
  const { timeoutMs } = readWish(flags)
  const namespace = settings.namespace.value
  const { name, server } = await chooseContext({ asked: flags.text('context'), folder, env, signal })
  const signer = await loadDevSigner(settings, env, warn)
  return inWork({ app, namespace, place: server, folder, env, warn }, async (work) => {
    const api = await openKubeApi({ context: name, work, env, signal })
    try {
      await refuseMissingRights(api, namespace)
      const options = { api, app, namespace, context: name, signer, timeoutMs, env, cwd, warn, signal }
      return await followFolder(context, { folder, work, app }, await openPodsPlace(options))
    } finally {
      await api.close()
    }
  })
}

/** As a pod's is. */
const defaultPort = 8080

/** With the lock, in a temporary folder; both are gone at the end. */
async function inWork<T>(lock: DevLock, use: (work: string) => Promise<T>): Promise<T> {
  const unlock = await takeDevLock(lock)
  try {
    const work = await realpath(await mkdtemp(join(tmpdir(), 'aether-dev-')))
    try {
      return await use(work)
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  } finally {
    await unlock()
  }
}
