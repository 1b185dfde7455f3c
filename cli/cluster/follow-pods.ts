// The logs of every pod of an app, one kubectl each. A pod that comes later is taken up within two seconds; the stream of
// one that ends while it still runs is opened again from where it ended.
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { Failure } from '../basics/failure.ts'
import { missingProgram } from '../basics/run-program.ts'
import { type AppQuery, contextFlag, kubectlNext, listPods, type PodRef } from './kubectl.ts'

export interface LogRequest extends AppQuery {
  readonly isFollowing: boolean
  readonly withAgents: boolean
  readonly since: string | undefined
  readonly tail: number
}

const lookMs = 2_000

export async function followPods(
  request: LogRequest,
  onLine: (pod: string, line: string) => void,
  warn: (text: string) => void,
): Promise<void> {
  const { isFollowing, signal } = request
  if (!isFollowing) {
    for (const pod of await listPods(request)) {
      if (pod.hasStarted) await streamPod(request, pod, undefined, onLine)
      else warn(`${pod.name} has not started yet`)
    }
    return
  }
  // By uid: a pod of the same name may be another one. The value is when its last stream ended.
  const open = new Set<string>()
  const endedAt = new Map<string, Date>()
  for (;;) {
    for (const pod of await listPods(request)) {
      if (!pod.hasStarted || open.has(pod.uid)) continue
      open.add(pod.uid)
      const from = endedAt.get(pod.uid)
      void streamPod(request, pod, from, onLine)
        .catch((error: unknown) => {
          if (!signal.aborted) warn(error instanceof Error ? error.message : String(error))
        })
        .finally(() => {
          endedAt.set(pod.uid, new Date())
          open.delete(pod.uid)
        })
    }
    await sleep(lookMs, undefined, { signal })
  }
}

/** Resolves when kubectl has ended. */
async function streamPod(
  request: LogRequest,
  { name }: PodRef,
  from: Date | undefined,
  onLine: (pod: string, line: string) => void,
): Promise<void> {
  const { namespace, isFollowing, withAgents, since, tail, env, cwd, signal } = request
  const child = execa(
    'kubectl',
    [
      'logs',
      ...contextFlag(request),
      `--namespace=${namespace}`,
      ...(withAgents ? ['--all-containers'] : ['--container=app']),
      ...(isFollowing ? ['--follow'] : []),
      ...(from === undefined ? [`--tail=${tail}`] : [`--since-time=${from.toISOString()}`]),
      ...(since === undefined || from !== undefined ? [] : [`--since=${since}`]),
      '--',
      name,
    ],
    { cwd, env, extendEnv: false, reject: false, buffer: { stdout: false }, stdin: 'ignore', cancelSignal: signal },
  )
  for await (const line of createInterface({ input: child.stdout })) onLine(name, line)
  const { code, cause, exitCode, stderr } = await child
  signal.throwIfAborted()
  if (code === 'ENOENT') throw missingProgram('kubectl', kubectlNext, cause)
  if (exitCode !== 0)
    throw new Failure('runtime', `kubectl logs ${name} ended: ${stderr.split('\n').at(-1) ?? ''}`, {
      next: kubectlNext,
    })
}
