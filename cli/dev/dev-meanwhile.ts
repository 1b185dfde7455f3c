// What somebody else did to the deployment since our last save: said, because the next save undoes it.

import { Failure } from '../basics/failure.ts'
import { shortDigest } from '../basics/table.ts'
import type { Control } from '../control/control.ts'
import type { Deployment, DeploymentEvent } from '../control/shapes.ts'

export interface LastApplied {
  readonly id: string
  readonly digest: string
}

/** A sentence, or undefined where nothing happened. `live` is the deployment of now. */
export async function findMeanwhile(
  control: Control,
  { id, digest }: LastApplied,
  live: Deployment | undefined,
): Promise<string | undefined> {
  if (live?.id === id && live.digest === digest) return undefined
  try {
    const { deployment, events } = (await control.viewDeployment(id)).value
    const { app } = deployment
    if (deployment.desiredStatus === 'stopped')
      return `${app} was stopped meanwhile${actorOf(events, 'stop')}: this save deploys it anew`
    if (deployment.digest !== digest)
      return `${app} was moved to ${shortDigest(deployment.digest)} meanwhile${actorOf(events, 'rollout', 'rollback')}: this save moves it on`
    return undefined
  } catch (error) {
    // What it is told of again where it matters.
    if (error instanceof Failure && error.kind === 'failed') return undefined
    throw error
  }
}

function actorOf(events: readonly DeploymentEvent[], ...actions: readonly string[]): string {
  const event = events.findLast(({ action }) => actions.includes(action))
  return event === undefined ? '' : ` by ${event.actor} (${event.action})`
}
