// aether status and aether list: what is wanted, what serves, and what happened.

import type { CommandDefinition } from '../basics/command.ts'
import type { Output } from '../basics/output.ts'
import { formatMs, formatTable, shortDigest } from '../basics/table.ts'
import { askedApp, liveDeployment } from '../control/app-of.ts'
import { withControl } from '../control/connect.ts'
import type { Deployment, DeploymentEvent, DeploymentView, Pod } from '../control/shapes.ts'

export const statusCommand: CommandDefinition = {
  usage: 'status [app]',
  summary: 'show what an app should serve, what it serves, and what happened',
  about:
    "Shows the wanted digest and the state of an app's deployment, what each pod said last, and the last events, newest last. " +
    'Without a name it is the app of this folder.',
  options: [['--namespace <name>', 'namespace of the app (default: default)']],
  examples: ['aether status', 'aether status shop --namespace staging --output json'],
  async run(context) {
    return withControl(context, async (connection) => {
      const app = await askedApp(context, connection.settings)
      const { id } = await liveDeployment(connection, app)
      const { value, raw } = await connection.control.viewDeployment(id)
      sayView(context.output, value)
      return { deployment: raw }
    })
  },
}

export const listCommand: CommandDefinition = {
  usage: 'list',
  summary: 'list what is deployed',
  about: 'Lists the deployments that are not stopped, of every namespace unless one is named.',
  options: [['--namespace <name>', 'only of this namespace']],
  examples: ['aether list', 'aether list --namespace staging'],
  async run(context) {
    const { flags, output } = context
    return withControl(context, async ({ control }) => {
      const namespace = flags.text('namespace')
      const found = await control.listDeployments(namespace === undefined ? {} : { namespace })
      const rows = found.map(({ value }) => [
        value.app,
        value.namespace,
        shortDigest(value.digest),
        value.status,
        String(value.replicas),
        value.updatedAt,
      ])
      if (rows.length === 0) output.line('nothing is deployed: aether deploy deploys the app of a folder')
      else
        for (const line of formatTable(['APP', 'NAMESPACE', 'DIGEST', 'STATUS', 'REPLICAS', 'CHANGED'], rows))
          output.line(line)
      return { items: found.map(({ raw }) => raw) }
    })
  },
}

const shownEvents = 8

function sayView(output: Output, { deployment, events, pods }: DeploymentView): void {
  const { app, namespace, environment, digest, replicas } = deployment
  output.line(`app        ${app} in ${namespace}${environment === '' ? '' : ` (${environment})`}`)
  output.line(`wanted     ${digest}, ${replicas} ${replicas === 1 ? 'pod' : 'pods'}`)
  output.line(`status     ${coloured(output, deployment)}`)
  output.line()
  const podRows = pods.map(podRow)
  if (podRows.length === 0) output.line('no pod has said anything yet')
  else for (const line of formatTable(['POD', 'SERVES', 'LAST OUTCOME', 'TOOK', 'SAID AT'], podRows)) output.line(line)
  output.line()
  const eventRows = events.slice(-shownEvents).map(eventRow)
  for (const line of formatTable(['AT', 'BY', 'EVENT', ''], eventRows)) output.line(line)
}

function coloured({ colours }: Output, { status, currentStatus, failureReason, failureMessage }: Deployment): string {
  if (status === 'running') return colours.green(status)
  if (status === 'pending') return colours.yellow(`${status} (${currentStatus})`)
  return `${colours.red(status)}: ${failureReason ?? 'no reason'}: ${failureMessage ?? ''}`
}

function podRow({ name, serving, outcome, digest, reason, detail, ms, at }: Pod): readonly string[] {
  const why = [reason, detail].filter((part) => part !== null).join('/')
  const said = outcome === 'ok' ? 'ok' : `fail ${why} of ${shortDigest(digest)}`
  return [name, shortDigest(serving), said, ms === null ? '-' : formatMs(ms), at]
}

function eventRow({
  at,
  actor,
  action,
  fromDigest,
  toDigest,
  status,
  reason,
  message,
}: DeploymentEvent): readonly string[] {
  const moves = toDigest === null ? '' : `${shortDigest(fromDigest)} -> ${shortDigest(toDigest)}`
  return [at, actor, action, [status, moves, reason, message].filter((part) => part !== null && part !== '').join(' ')]
}
