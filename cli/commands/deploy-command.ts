// aether deploy: pack -> upload -> create or update the deployment -> wait until the digest serves.
import { resolve } from 'node:path'
import { recordBytes } from '@aether/artifact/delta-write'
import type { CommandContext, CommandDefinition } from '../basics/command.ts'
import type { Settings } from '../basics/settings.ts'
import { formatBytes, formatMs, shortDigest } from '../basics/table.ts'
import { timed } from '../basics/timed.ts'
import { appOf } from '../control/app-of.ts'
import { applyDigest } from '../control/apply-digest.ts'
import { withControl } from '../control/connect.ts'
import type { Control } from '../control/control.ts'
import { refuseUnknownApp } from '../control/known-app.ts'
import { ChangedWhileSent, findContent, isTreeNeeded, sendTree } from '../control/send-tree.ts'
import { waitUntilServing } from '../control/wait-serving.ts'
import { loadProject } from '../release/project.ts'
import { packedRecord, packFlags, packOptions, sayPacked } from './pack-command.ts'
import { type BuiltRelease, buildRelease } from './release-tree.ts'
import { readWish, specOf, specOptions, type Wish } from './wish.ts'

export const deploy: CommandDefinition = {
  usage: 'deploy [folder]',
  summary: 'bring the app of a folder to its pods, and wait until it serves',
  about:
    'Makes a tree of the folder and of its installed dependencies, sends what control does not have of it, and makes it the wanted ' +
    'release of the app. Files that did not change since the deploy before (by size, times and inode) are not read again. With --dev-hot the live pods take it in place, in seconds; without it new pods replace them. Ends when the new ' +
    'digest serves, or says why it does not; the release before goes on serving then. The app is registered once, by aether ' +
    'apps create.',
  options: [
    ...specOptions,
    ['--env <NAME=VALUE...>', 'variable for the app (may be repeated); replaces those of the deploy before'],
    ['--dev-hot', 'replace the release in the live pods'],
    ['--no-dev-hot', 'make new pods, whatever .aether.json says'],
    ['--dry-run', 'pack, and say what would happen'],
    ['--timeout <seconds>', 'longest wait for the release to serve (default: 300)'],
    ['--full-check', 'install anew and read every file, whatever is known of them since the deploy before'],
    ...packFlags,
  ],
  examples: [
    'aether deploy --dev-hot',
    'aether deploy ./services/shop --namespace staging --replicas 3 --ready-path /healthz',
  ],
  async run(context) {
    const { flags, cwd } = context
    const wish = readWish(flags)
    const project = await loadProject(resolve(cwd, context.args[0] ?? '.'))
    return withControl(
      context,
      async ({ control, settings }) => {
        const app = appOf(settings, project.appName)
        await refuseUnknownApp(control, app)
        const plan = { context, control, settings, app, wish }
        const options = packOptions(context, settings)
        const once = (fullCheck: boolean) =>
          buildRelease(project, options, fullCheck, async (release) => {
            sayPacked(context, release)
            return flags.isSet('dry-run') ? rehearse(plan, release) : bring(plan, release)
          })
        const fullCheck = flags.isSet('full-check')
        return once(fullCheck).catch((error: unknown) => {
          // What was known of a file was wrong, or somebody wrote it in this moment.
          if (fullCheck || !(error instanceof ChangedWhileSent)) throw error
          context.output.warn(`${error.message}; every file is read again`)
          return once(true)
        })
      },
      project.folder,
    )
  },
}

interface Plan {
  readonly context: CommandContext
  readonly control: Control
  readonly settings: Settings
  readonly app: string
  readonly wish: Wish
}

async function bring({ context, control, settings, app, wish }: Plan, packed: BuiltRelease) {
  const { output, signal } = context
  const namespace = settings.namespace.value
  const sent = await timed(() => sendTree(control, app, packed, { output, signal }))
  const { isNew, bytes, objects } = sent.value
  output.line(
    isNew
      ? `upload     done in ${formatMs(sent.ms)}, ${formatBytes(bytes)} of what is new`
      : 'upload     not needed, control has it',
  )
  const deployed = await timed(() =>
    applyDigest(control, { app, namespace, digest: packed.digest, ...specOf(settings, wish) }, signal),
  )
  const { id } = deployed.value.deployment
  const how = deployed.value.isNew ? 'created' : settings.devHot ? 'moves in place' : 'moves by new pods'
  output.line(`deploy     ${app} in ${namespace} ${how} (${formatMs(deployed.ms)})`)
  const serving = await timed(() =>
    waitUntilServing(control, { id, app, digest: packed.digest, timeoutMs: wish.timeoutMs, output, signal }),
  )
  output.line(`${output.colours.green('serving')}    ${shortDigest(packed.digest)} after ${formatMs(serving.ms)}`)
  return {
    app,
    namespace,
    deployment: id,
    status: 'running',
    uploaded: isNew,
    sent: { objects, bytes },
    created: deployed.value.isNew,
    ...packedRecord(packed),
    ms: { ...packed.ms, upload: sent.ms, deploy: deployed.ms, serving: serving.ms },
  }
}

/** What would happen, by reading alone. */
async function rehearse({ context, control, settings, app }: Plan, packed: BuiltRelease) {
  const namespace = settings.namespace.value
  const needsUpload = await isTreeNeeded(control, app, packed)
  const lacking = needsUpload ? recordBytes(await findContent(control, app, packed.tree, undefined)) : 0
  const live = await control.findLive(app, namespace)
  const action = live === undefined ? 'create' : live.digest === packed.digest ? 'nothing' : 'rollout'
  const { output } = context
  output.line()
  output.line(`would ${needsUpload ? `upload ${formatBytes(lacking)}` : 'upload nothing, control has it'}`)
  if (live === undefined) output.line(`would create ${app} in ${namespace}`)
  else
    output.line(
      `would move ${app} in ${namespace} from ${shortDigest(live.digest)} to ${shortDigest(packed.digest)} ${settings.devHot ? 'in place' : 'by new pods'}`,
    )
  return {
    dry_run: true,
    app,
    namespace,
    would_upload: needsUpload,
    would_send: lacking,
    would: action,
    ...packedRecord(packed),
  }
}
