// Which pod shows a token: (1) the API server reviews it for our audience, (2) it names the pod and its uid, (3) the pod's
// owner is a ReplicaSet, (4) whose owner is a Deployment of an app. What the pod says of itself counts for nothing.
// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#additional-metadata-in-pod-bound-tokens
import { createHash } from 'node:crypto'
import { controlAudience } from '@aether/contract/control-api'
import type { AppRef, Cluster } from '../domain/ports.ts'
import { type ApiServer, ApiServerError } from './api-server.ts'
import type { AppCache } from './app-cache.ts'
import { at, listAt, textAt } from './json-path.ts'
import { objectPath, type Resource } from './names.ts'
import { observeDeployment, ownerOf } from './observed.ts'
import { readClaims } from './token-claims.ts'

type Agent = NonNullable<Awaited<ReturnType<Cluster['identify']>>>

export interface Identifier {
  /** Throws ApiServerError; status 429 where too many wait. */
  identify(token: string): Promise<Agent | undefined>
}

const rememberMs = 30_000
const mostRemembered = 2000
const mostAtOnce = 8
const mostWaiting = 1000
const podPrefix = 'authentication.kubernetes.io/pod-'
const account = /^system:serviceaccount:([a-z0-9-]+):[^:]+$/

export function createIdentifier(
  api: ApiServer,
  cache: Pick<AppCache, 'pod' | 'appOfSet' | 'appOfDeployment'>,
  now: () => number = Date.now,
): Identifier {
  // By sha256, so that no token is kept; in the order of their making, which is nearly that of their end.
  const known = new Map<string, { readonly agent: Agent; readonly until: number }>()
  const asked = new Map<string, Promise<Agent | undefined>>()
  const waiting: (() => void)[] = []
  let atOnce = 0

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (atOnce < mostAtOnce) atOnce++
    else {
      if (waiting.length >= mostWaiting) throw new ApiServerError(429, 'too many tokens wait for their review')
      await new Promise<void>((resolve) => waiting.push(resolve))
    }
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) atOnce--
      else next()
    }
  }

  async function review(token: string): Promise<Agent | undefined> {
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [controlAudience] },
    }
    const answer = await api.send({ method: 'POST', path: '/apis/authentication.k8s.io/v1/tokenreviews', body })
    const status = at(answer, 'status')
    if (at(status, 'authenticated') !== true || !listAt(status, 'audiences').includes(controlAudience)) return undefined
    const namespace = account.exec(textAt(status, 'user', 'username') ?? '')?.[1]
    const [podName] = listAt(status, 'user', 'extra', `${podPrefix}name`)
    const [podUid] = listAt(status, 'user', 'extra', `${podPrefix}uid`)
    if (namespace === undefined || typeof podName !== 'string' || typeof podUid !== 'string') return undefined
    const ref = await appOf({ namespace, podName, podUid })
    return ref && { kind: 'agent', app: ref.app, namespace, podUid, podName }
  }

  /** The watch may be behind a pod that is seconds old: then each step asks. */
  async function appOf(pod: { namespace: string; podName: string; podUid: string }): Promise<AppRef | undefined> {
    const seen = cache.pod(pod.podUid)
    const owner = seen === undefined || seen.ownerUid === null ? undefined : cache.appOfSet(seen.ownerUid)
    if (owner !== undefined) return owner.namespace === pod.namespace ? owner : undefined
    const set = ownerOf(await get('pods', pod.namespace, pod.podName, pod.podUid), 'ReplicaSet')
    if (set === undefined) return undefined
    const deployment = ownerOf(await get('replicaSets', pod.namespace, set.name, set.uid), 'Deployment')
    if (deployment === undefined) return undefined
    const cached = cache.appOfDeployment(deployment.uid)
    if (cached !== undefined) return cached.namespace === pod.namespace ? cached : undefined
    const found = observeDeployment(await get('deployments', pod.namespace, deployment.name, deployment.uid))
    return found && { namespace: found.namespace, app: found.name }
  }

  /** Undefined where it is gone, or another one has its name. */
  async function get(resource: Resource, namespace: string, name: string, uid: string): Promise<unknown> {
    try {
      const object = await api.send({ method: 'GET', path: objectPath(resource, namespace, name) })
      return textAt(object, 'metadata', 'uid') === uid ? object : undefined
    } catch (error) {
      // 403: a namespace that control does not look after.
      if (error instanceof ApiServerError && (error.status === 404 || error.status === 403)) return undefined
      throw error
    }
  }

  function remember(key: string, agent: Agent, until: number): void {
    known.delete(key)
    known.set(key, { agent, until })
    for (const [old, { until: end }] of known) {
      if (end > now() && known.size <= mostRemembered) break
      known.delete(old)
    }
  }

  return {
    async identify(token) {
      const claims = readClaims(token)
      const expiresAt = claims?.expiresAt.getTime() ?? 0
      if (claims === undefined || !claims.audiences.includes(controlAudience) || expiresAt <= now()) return undefined
      const key = createHash('sha256').update(token).digest('hex')
      const remembered = known.get(key)
      if (remembered !== undefined && remembered.until > now()) return remembered.agent
      const running = asked.get(key)
      if (running !== undefined) return await running
      const answer = inTurn(() => review(token)).finally(() => asked.delete(key))
      asked.set(key, answer)
      const agent = await answer
      if (agent !== undefined) remember(key, agent, Math.min(now() + rememberMs, expiresAt))
      return agent
    },
  }
}
