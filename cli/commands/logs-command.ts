// aether logs: what the pods of an app write, each line under its pod's name. It goes by kubectl with the rights of whoever
// asks, and control has no part in it.

import type { CommandDefinition } from '../basics/command.ts'
import { Failure } from '../basics/failure.ts'
import { wrongFlag } from '../basics/flags.ts'
import { loadSettings } from '../basics/settings.ts'
import { followPods, type LogRequest } from '../cluster/follow-pods.ts'
import { listPods } from '../cluster/kubectl.ts'
import { createLineFormat } from '../cluster/log-line.ts'
import { askedApp } from '../control/app-of.ts'

export const logs: CommandDefinition = {
  usage: 'logs [app]',
  summary: 'show what the pods of an app write',
  about:
    'Shows the output of the app from all its pods, each line under the name of its pod; with -f also what comes, from pods that ' +
    'come later too. It asks the cluster by kubectl, with your own kubeconfig. --all adds what the agents write: their logs, ' +
    'and the REFRESH_ lines that tell of each release.',
  options: [
    ['-f, --follow', 'go on with what comes'],
    ['--since <time>', 'only of the last time, as in 30s, 5m or 2h'],
    ['--tail <lines>', 'only the last lines of each pod (default: 200)'],
    ['--all', 'also what the agents write'],
    ['--namespace <name>', 'namespace of the app (default: default)'],
  ],
  examples: ['aether logs shop -f', 'aether logs shop --since 10m --all'],
  async run(context) {
    const { flags, env, cwd, output, signal } = context
    if (output.isJson)
      throw new Failure('usage', 'logs has no JSON form: it writes the lines of the app', {
        next: 'leave out --output',
      })
    const since = flags.text('since')
    if (since !== undefined && !/^\d{1,6}[smh]$/.test(since))
      throw wrongFlag('since', since, 'a time such as 30s, 5m or 2h')
    const tail = flags.count('tail', { min: 0, max: 1_000_000 }) ?? 200
    const settings = await loadSettings(flags, env, cwd, output.warn)
    const app = await askedApp(context, settings)
    const request: LogRequest = {
      app,
      namespace: settings.namespace.value,
      isFollowing: flags.isSet('follow'),
      withAgents: flags.isSet('all'),
      since,
      tail,
      env,
      cwd,
      signal,
    }
    if ((await listPods(request)).length === 0 && !request.isFollowing)
      throw new Failure('failed', `there is no pod of ${app} in namespace ${request.namespace}`, {
        next: "aether status shows its state; where control runs without a cluster, agents write to their own terminal's output",
      })
    const format = createLineFormat(output.colours, request.withAgents)
    await followPods(
      request,
      (pod, line) => {
        const text = format(pod, line)
        if (text !== undefined) output.line(text)
      },
      output.warn,
    )
    return undefined
  },
}
