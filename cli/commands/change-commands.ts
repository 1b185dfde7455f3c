// aether rollback and aether stop: what is deployed, changed without a new artifact.
import { createInterface } from 'node:readline/promises'
import type { Digest } from '@aether/contract/digest'
import { isDigest } from '@aether/contract/digest'
import type { CommandDefinition } from '../basics/command.ts'
import { Failure } from '../basics/failure.ts'
import { wrongFlag } from '../basics/flags.ts'
import { shortDigest } from '../basics/table.ts'
import { askedApp, liveDeployment } from '../control/app-of.ts'
import { withControl } from '../control/connect.ts'
import { waitUntilServing } from '../control/wait-serving.ts'

export const rollback: CommandDefinition = {
  usage: 'rollback [app]',
  summary: 'go back to an earlier release',
  about:
    'Makes the release that served before the wanted one again, or the one named by --to, and waits until it serves. Nothing is ' +
    'packed or uploaded: control still has the artifact.',
  options: [
    ['--to <digest>', 'digest to go back to: sha256: and 64 hex characters (default: the one before)'],
    ['--namespace <name>', 'namespace of the app (default: default)'],
    ['--timeout <seconds>', 'longest wait for the release to serve (default: 300)'],
  ],
  examples: ['aether rollback shop', 'aether rollback shop --to sha256:4f0e...'],
  async run(context) {
    const { flags, output, signal } = context
    const to = parseTo(flags.text('to'))
    const timeoutMs = (flags.count('timeout', { min: 1, max: 86_400 }) ?? 300) * 1_000
    return withControl(context, async (connection) => {
      const { control } = connection
      const app = await askedApp(context, connection.settings)
      const live = await liveDeployment(connection, app)
      const { value } = await control.rollback(live.id, to)
      output.line(`rollback   ${app} from ${shortDigest(live.digest)} to ${shortDigest(value.digest)}`)
      const digest = parseTo(value.digest)
      if (digest !== undefined) await waitUntilServing(control, { id: live.id, app, digest, timeoutMs, output, signal })
      output.line(`${output.colours.green('serving')}    ${shortDigest(value.digest)}`)
      return { app, from: live.digest, to: value.digest, status: 'running' }
    })
  },
}

export const stop: CommandDefinition = {
  usage: 'stop [app]',
  summary: 'take an app out of the cluster',
  about:
    'Removes the pods, Deployment and Service of an app. Artifacts, keys and history stay, so a later aether deploy brings it ' +
    'back. Asks on a terminal; elsewhere it wants --yes.',
  options: [
    ['--yes', 'do not ask'],
    ['--namespace <name>', 'namespace of the app (default: default)'],
  ],
  examples: ['aether stop shop', 'aether stop shop --namespace staging --yes'],
  async run(context) {
    const { flags, output } = context
    return withControl(context, async (connection) => {
      const app = await askedApp(context, connection.settings)
      const live = await liveDeployment(connection, app)
      if (!flags.isSet('yes')) await confirm(`stop ${app} in ${live.namespace}?`, context.signal)
      await connection.control.stop(live.id)
      output.line(`${app} in ${live.namespace} is stopped`)
      return { app, namespace: live.namespace, deployment: live.id, stopped: true }
    })
  },
}

function parseTo(text: string | undefined): Digest | undefined {
  if (text === undefined || isDigest(text)) return text
  throw wrongFlag('to', text, 'sha256: and 64 hex characters; aether status shows the digests of the last events')
}

async function confirm(question: string, signal: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new Failure('usage', 'it would ask, and there is no terminal to answer on', { next: 'say --yes' })
  const asked = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await asked.question(`${question} [y/N] `, { signal })
    if (!/^y(?:es)?$/i.test(answer.trim()))
      throw new Failure('failed', 'nothing was done', { next: 'answer y to go on' })
  } finally {
    asked.close()
  }
}
