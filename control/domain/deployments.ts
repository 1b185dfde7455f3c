// Deployments as the API changes them. A change is written to the database and answered; the controller carries it to
// the cluster, again and again until it is there, so what was acknowledged is never lost.
import { isDeepStrictEqual } from 'node:util'
import type { Digest } from '@aether/contract/digest'
import { findApp } from './apps.ts'
import { findArtifactFor } from './artifacts.ts'
import { ControlError } from './errors.ts'
import type { Deployment, DeploymentChange, DeploymentSpec, EventAction, NewEvent } from './model.ts'
import type { AppRef, Cluster, Store } from './ports.ts'
import type { Deployments } from './services.ts'
import type { SignaturePolicy } from './signature.ts'

const lastEvents = 50
const mostTries = 5

/** `wake` tells the controller that there is something to do; `alone` keeps its passes from the app meanwhile. */
export function createDeployments(
  store: Store,
  cluster: Pick<Cluster, 'remove'>,
  policy: Pick<SignaturePolicy, 'developmentEnvironments'>,
  wake: (ref: AppRef) => void,
  alone: <T>(ref: AppRef, work: () => Promise<T>) => Promise<T>,
): Deployments {
  /** Reads, changes and writes until nobody else was in between. */
  async function write(
    id: string,
    decide: (now: Deployment) => Promise<{ change: DeploymentChange; event: NewEvent }>,
  ): Promise<Deployment> {
    for (let tries = 0; tries < mostTries; tries++) {
      const now = await findLive(store, id)
      const { change, event } = await decide(now)
      const written = await store.changeDeployment(id, now.version, change, event)
      if (written === undefined) continue
      wake(written)
      return written
    }
    throw new ControlError('changed_meanwhile', 'the deployment is being changed by others: look at it and try again')
  }

  return {
    async create(spec, digest, by) {
      refuseOwnNames(spec.env)
      await findApp(store, spec.app, 'body.app')
      await findArtifactFor(store, spec, digest, policy, 'body.digest')
      const deployment = await store.createDeployment(spec, digest, eventOf('create', by, null, digest))
      wake(deployment)
      return deployment
    },
    async view(id) {
      const deployment = await store.findDeployment(id)
      if (deployment === undefined) throw unknown(id)
      const [events, pods] = await Promise.all([store.listEvents(id, lastEvents), store.listReports(id)])
      return { deployment, events, pods }
    },
    list: (filter, page) => store.listDeployments(filter, page),
    change: (id, { digest, ...spec }, by) =>
      write(id, async (now) => {
        if (spec.env !== undefined) refuseOwnNames(spec.env)
        if (digest !== undefined) await findArtifactFor(store, now, digest, policy, 'body.digest')
        if (digest === undefined) return { change: toBeApplied(now, spec), event: eventOf('update', by, null, null) }
        return {
          change: { ...toBeApplied(now, spec), ...newDigest(digest), isTargetWritten: false, desiredStatus: 'active' },
          event: eventOf('rollout', by, now.digest, digest),
        }
      }),
    rollback: (id, digest, by) =>
      write(id, async (now) => {
        const to = digest ?? (await servedBefore(store, now))
        await findArtifactFor(store, now, to, policy, 'body.digest')
        return {
          change: { ...toBeApplied(now, {}), ...newDigest(to), isTargetWritten: false, desiredStatus: 'rollback' },
          event: eventOf('rollback', by, now.digest, to),
        }
      }),
    async stop(id, by) {
      const now = await findLive(store, id)
      // A pass under way would make again what was just removed, and nobody would look after it.
      await alone(now, async () => {
        // First out of the cluster: where that fails nothing has changed, and it can be asked for again.
        await cluster.remove(now)
        await write(id, ({ digest }) =>
          Promise.resolve({
            change: { desiredStatus: 'stopped', currentStatus: 'pending', failureReason: null, failureMessage: null },
            event: eventOf('stop', by, digest, null),
          }),
        )
      })
    },
  }
}

export function eventOf(
  action: EventAction,
  actor: string,
  fromDigest: Digest | null,
  toDigest: Digest | null,
): NewEvent {
  return { action, actor, fromDigest, toDigest, status: null, reason: null, message: null }
}

/** What a new digest does to a row. */
export function newDigest(digest: Digest): DeploymentChange {
  const now = new Date()
  return {
    digest,
    digestAt: now,
    currentStatus: 'syncing',
    failureReason: null,
    failureMessage: null,
    lastTransitionAt: now,
  }
}

/** What is applied stays so where the spec says what it said. */
function toBeApplied(now: Deployment, spec: Partial<DeploymentSpec>): DeploymentChange {
  const isSame = isDeepStrictEqual({ ...now, ...spec }, { ...now })
  return {
    ...spec,
    isApplied: now.isApplied && isSame,
    currentStatus: now.currentStatus === 'pending' ? 'pending' : 'syncing',
    failureReason: null,
    failureMessage: null,
  }
}

async function findLive(store: Store, id: string): Promise<Deployment> {
  const found = await store.findDeployment(id)
  if (found === undefined) throw unknown(id)
  if (found.desiredStatus !== 'stopped') return found
  throw new ControlError('conflict', `deployment ${id} was stopped: make a new one`)
}

/** The digest that the deployment had before the one it has. */
async function servedBefore(store: Store, { id, digest }: Deployment): Promise<Digest> {
  const events = await store.listEvents(id, lastEvents)
  const change = events.findLast(({ toDigest, fromDigest }) => toDigest === digest && fromDigest !== null)
  if (change?.fromDigest != null && change.fromDigest !== digest) return change.fromDigest
  throw new ControlError('conflict', 'there is no digest before this one: name the one to go back to', {
    field: 'body.digest',
  })
}

function refuseOwnNames(env: Readonly<Record<string, string>>): void {
  const ours = Object.keys(env).find((name) => name.startsWith('AETHER_') || name === 'PORT')
  if (ours !== undefined)
    throw new ControlError('malformed', `${ours} is set by control: leave it out`, { field: `body.env.${ours}` })
}

function unknown(id: string): ControlError {
  return new ControlError('not_found', `there is no deployment ${id}`)
}
