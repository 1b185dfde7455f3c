// What we ask of the cluster by kubectl: the pods of an app.
import { readAnswer } from '../basics/answer.ts'
import { Failure } from '../basics/failure.ts'
import { runProgram } from '../basics/run-program.ts'
import type { Env } from '../basics/settings.ts'

export interface AppQuery {
  readonly app: string
  readonly namespace: string
  /** Of kubectl; the current one where it is left out. */
  readonly context?: string
  readonly env: Env
  readonly cwd: string
  readonly signal: AbortSignal
}

export interface PodRef {
  readonly name: string
  readonly uid: string
  /** Whether its app container has begun, so that there is a log. */
  readonly hasStarted: boolean
}

export const kubectlNext = 'install kubectl and point KUBECONFIG to your cluster'

export function contextFlag({ context }: Pick<AppQuery, 'context'>): readonly string[] {
  return context === undefined ? [] : [`--context=${context}`]
}

export async function listPods(query: AppQuery): Promise<readonly PodRef[]> {
  const { app, namespace, env, cwd, signal } = query
  const { exitCode, stdout, lines } = await runProgram(
    'kubectl',
    [
      'get',
      'pods',
      ...contextFlag(query),
      `--namespace=${namespace}`,
      `--selector=app=${app}`,
      '--output=json',
      '--request-timeout=15s',
    ],
    { cwd, env, signal, timeoutMs: 30_000 },
    kubectlNext,
  )
  if (exitCode !== 0)
    throw new Failure('runtime', `kubectl cannot list the pods of ${app} in namespace ${namespace}`, {
      detail: lines.slice(-5),
      next: 'try kubectl get pods; KUBECONFIG names the cluster',
    })
  const value: unknown = JSON.parse(stdout)
  return readAnswer(value, 'what kubectl says')
    .items('items')
    .map((pod) => ({
      name: pod.object('metadata').text('name'),
      uid: pod.object('metadata').text('uid'),
      hasStarted: pod
        .object('status')
        .items('containerStatuses')
        .some((container) => container.text('name') === 'app' && !container.object('state').has('waiting')),
    }))
}
