// Makes a digest the wanted one of an app: PATCH of the live deployment, POST where there is none. POST is never repeated
// blindly: after a lost answer, or where somebody else was first, we look what is there.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Digest } from '@aether/contract/digest'
import { Failure } from '../basics/failure.ts'
import type { Control } from './control.ts'
import { LostAnswer } from './http.ts'
import type { Deployment } from './shapes.ts'

export interface Wanted {
  readonly app: string
  readonly namespace: string
  readonly digest: Digest
  readonly environment?: string
  readonly [field: string]: unknown
}

const rounds = 4

/** `found` is told of the deployment that is there, before it is changed. */
export async function applyDigest(
  control: Control,
  wanted: Wanted,
  signal: AbortSignal,
  found: (live: Deployment | undefined) => Promise<void> = async () => {},
): Promise<{ readonly deployment: Deployment; readonly isNew: boolean }> {
  const { app, namespace, environment, ...change } = wanted
  let hasPosted = false
  for (let round = 1; ; round += 1) {
    try {
      const live = await control.findLive(app, namespace)
      if (round === 1) await found(live) // later, what is there may be by ourselves
      if (live === undefined) {
        hasPosted = true
        return { deployment: (await control.createDeployment(wanted)).value, isNew: true }
      }
      refuseOtherEnvironment(live, environment)
      // The one that we made, and whose answer was lost.
      if (hasPosted && live.digest === wanted.digest) return { deployment: live, isNew: true }
      return { deployment: (await control.changeDeployment(live.id, change)).value, isNew: false }
    } catch (error) {
      const isRace = error instanceof Failure && ['conflict', 'changed_meanwhile'].includes(error.code ?? '')
      if ((!isRace && !(error instanceof LostAnswer)) || round === rounds) throw error
      await sleep(200 * round, undefined, { signal })
    }
  }
}

/** An environment is said once, when the deployment is made. */
function refuseOtherEnvironment(live: Deployment, environment: string | undefined): void {
  if (environment === undefined || live.environment === environment) return
  throw new Failure(
    'failed',
    `${live.app} in ${live.namespace} is of environment ${live.environment}, and ${environment} was asked for`,
    { next: 'deploy to another namespace, or stop it first: aether stop' },
  )
}
