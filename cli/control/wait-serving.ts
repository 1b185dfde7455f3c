// Waits until an app serves a digest, or is known not to.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Digest } from '@aether/contract/digest'
import { withAppError } from '../basics/app-error.ts'
import { Failure } from '../basics/failure.ts'
import type { Output } from '../basics/output.ts'
import { shortDigest } from '../basics/table.ts'
import type { Control } from './control.ts'

export interface Wait {
  readonly id: string
  readonly app: string
  readonly digest: Digest
  readonly timeoutMs: number
  readonly output: Output
  readonly signal: AbortSignal
}

/** None serves sooner, and to be asked meanwhile keeps control from bringing it. */
const soonestMs = 100
/** Between two questions: most releases serve within a second, and a slow one is not asked for often. */
const firstPauseMs = 50
const longestPauseMs = 500

export async function waitUntilServing(control: Control, wait: Wait): Promise<void> {
  const { id, app, digest, output, signal } = wait
  const until = performance.now() + wait.timeoutMs
  const next = `aether status ${app} shows its pods, aether logs ${app} what they wrote`
  await sleep(soonestMs, undefined, { signal })
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 1.1)) {
    const { deployment, pods } = (await control.viewDeployment(id)).value
    if (deployment.desiredStatus === 'stopped')
      throw new Failure('failed', `${app} was stopped meanwhile`, { next: 'deploy it again' })
    if (deployment.digest !== digest)
      throw new Failure('failed', `${app} was meanwhile moved to ${shortDigest(deployment.digest)}`, { next })
    if (deployment.status === 'running') return output.transient('')
    if (deployment.status === 'failed') {
      const why = `${app} does not serve ${shortDigest(digest)}: ${deployment.failureMessage ?? 'no message'}`
      const said = pods.find((pod) => pod.digest === digest && pod.output !== null)?.output ?? null
      const { message, detail } = withAppError(why, said)
      throw new Failure('failed', message, { code: deployment.failureReason ?? undefined, detail, next })
    }
    const there = pods.filter((pod) => pod.serving === digest).length
    const state = `${deployment.currentStatus}, ${there} of ${deployment.replicas} pods serve it`
    if (performance.now() > until)
      throw new Failure(
        'failed',
        `${app} does not serve ${shortDigest(digest)} after ${wait.timeoutMs / 1_000} s: ${state}`,
        {
          code: 'timeout',
          next: `${next}; --timeout waits longer`,
        },
      )
    output.transient(`${state} ...`)
    await sleep(pauseMs, undefined, { signal })
  }
}
