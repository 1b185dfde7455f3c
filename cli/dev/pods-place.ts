// `aether dev --pods`: a cluster in which the developer has rights on pods and nothing else (docs/adr/0019-pods-alone.md). The
// artifacts come from this machine, by a relay in each pod; each pod is annotated, and its agents' records say what became of it.
import { setTimeout as sleep } from 'node:timers/promises'
import { annotations } from '@aether/contract/annotations'
import { relayOrigin } from '@aether/contract/relay-frames'
import { Failure, toFailure } from '../basics/failure.ts'
import type { Env } from '../basics/settings.ts'
import { shortDigest } from '../basics/table.ts'
import type { KubeApi } from '../cluster/kube-api.ts'
import { noRecords, notServing, outcomeOf, type PodRecords, servingOf } from '../cluster/pod-outcome.ts'
import { openPodRelay, type PodRelay } from '../cluster/pod-relay.ts'
import { watchPods } from '../cluster/pod-watch.ts'
import type { DevSigner } from './dev-key.ts'
import { showLogs } from './dev-logs.ts'
import type { DevPlace } from './dev-place.ts'
import { createDevStore } from './dev-store.ts'

export interface PodsPlaceOptions {
  readonly api: KubeApi
  readonly app: string
  readonly namespace: string
  readonly context: string
  readonly signer: DevSigner
  readonly timeoutMs: number
  readonly env: Env
  readonly cwd: string
  readonly warn: (text: string) => void
  readonly signal: AbortSignal
}

/** A relay takes a process here and 50 MB in the pod. */
const mostPods = 20
const lookMs = 1_000

export async function openPodsPlace(options: PodsPlaceOptions): Promise<DevPlace> {
  const { api, app, namespace, context, signer, timeoutMs, env, cwd, warn, signal } = options
  const store = createDevStore(app)
  const relays = new Map<string, PodRelay>()
  const over = new AbortController()
  const watchers = new Set<() => void>()
  const lastTurns = new Map<string, Promise<void>>()
  let wanted: Readonly<Record<string, string>> | undefined
  let [isOverfull, served]: [boolean, string | undefined] = [false, undefined]
  const changed = () => {
    for (const look of watchers) look()
  }
  const where = `${app} in namespace ${namespace}`

  let isListed = false
  const watching = await watchPods(api, { app, namespace, signal: AbortSignal.any([signal, over.signal]) }, () => {
    if (isListed) meet()
  })
  if (watching.count() === 0) {
    over.abort()
    throw new Failure('failed', `there is no pod of ${where} (label app=${app}, context ${context})`, {
      next: '--app and --namespace name another; k8s/overlays/dev-pods is a Deployment that waits for this command',
    })
  }

  /** Pods come and go. */
  function meet(): void {
    const now = watching.list()
    for (const [uid, relay] of relays)
      if (!now.has(uid)) {
        relays.delete(uid)
        lastTurns.delete(relay.pod)
        void relay.close()
      }
    for (const [uid, pod] of now) {
      if (relays.has(uid)) continue
      if (relays.size >= mostPods) {
        if (!isOverfull) warn(`${where} has more than ${mostPods} pods: the others keep what they have`)
        isOverfull = true
        break
      }
      const onOpen = () => void bring(pod).catch((error: unknown) => warn(`${pod}: ${toFailure(error).message}`))
      const answer = store.answer
      relays.set(uid, openPodRelay({ pod, namespace, context, env, answer, onChange: changed, onOpen }))
    }
    changed()
  }

  /**
   * Says to one pod what is wanted: to each that is new, to each whose stream was away, and at each save. One after the other, by
   * what is wanted when its turn comes: of two at once the older one could arrive last, and would stand.
   */
  function bring(pod: string): Promise<void> {
    const turn = (lastTurns.get(pod) ?? Promise.resolve())
      .catch(() => undefined)
      .then(async () => {
        if (wanted === undefined) return
        await api.ask('PATCH', `/api/v1/namespaces/${namespace}/pods/${pod}`, { metadata: { annotations: wanted } })
      })
    lastTurns.set(pod, turn)
    return turn
  }

  const open = () => [...relays.values()].filter((relay) => relay.isOpen())

  /** At least one pod that can be asked. */
  async function untilReachable(): Promise<void> {
    const until = performance.now() + 30_000
    while (open().length === 0) {
      if (performance.now() > until) throw unreachable()
      await nextChange()
    }
  }

  function unreachable(): Failure {
    const faults = [...relays.values()].flatMap((relay) =>
      relay.fault() === undefined ? [] : [`${relay.pod}: ${relay.fault()}`],
    )
    const [first] = faults
    if (first === undefined && watching.count() === 0)
      return new Failure('network', `there is no pod of ${where} any more`, { code: 'no_pods' })
    return new Failure('network', first ?? `no pod of ${where} runs`, { code: 'unreachable', detail: faults })
  }

  async function nextChange(until?: AbortSignal): Promise<void> {
    const woken = Promise.withResolvers<void>()
    watchers.add(woken.resolve)
    try {
      const bound = until === undefined ? signal : AbortSignal.any([signal, until])
      await Promise.race([woken.promise, sleep(lookMs, undefined, { signal: bound })])
      bound.throwIfAborted()
    } finally {
      watchers.delete(woken.resolve)
    }
  }

  isListed = true
  meet()
  return {
    name: `in the pods of namespace ${namespace}, context ${context}`,
    async pack(tree) {
      const { digest, path } = await store.add(tree)
      const before = new Map<string, PodRecords>()
      return {
        digest,
        upload: untilReachable,
        async deploy() {
          for (const [uid, relay] of relays) before.set(uid, relay.records())
          wanted = {
            [annotations.digest]: digest,
            [annotations.artifactUrl]: `${relayOrigin}${path}`,
            [annotations.signature]: signer.sign(digest),
          }
          await Promise.all(open().map(({ pod }) => bring(pod).catch(ignoreGone)))
        },
        async waitUntilServing(until) {
          const end = performance.now() + timeoutMs
          for (;;) {
            const asked = [...relays].filter(([, relay]) => relay.isOpen())
            let count = 0
            for (const [uid, relay] of asked) {
              const outcome = outcomeOf(relay.records(), { digest, before: before.get(uid) ?? noRecords })
              if (outcome instanceof Failure) throw ofPod(relay.pod, outcome, asked.length)
              if (outcome === 'serving') count += 1
            }
            if (asked.length > 0 && count === asked.length) {
              served = digest
              return
            }
            if (asked.length === 0 && watching.count() === 0) throw unreachable()
            const [first] = asked
            if (performance.now() > end)
              throw first ? notServing(app, digest, timeoutMs, first[1].records()) : unreachable()
            await nextChange(until)
          }
        },
      }
    },
    serving: () => Promise.resolve(open().flatMap((relay) => servingOf(relay.records()) ?? [])),
    showLogs: (output, until) => showLogs({ app, namespace, context, env, cwd, signal: until }, output),
    farewell: () =>
      served === undefined
        ? undefined
        : `${where} goes on serving ${shortDigest(served)} until its pods are replaced: new ones begin with what their template says`,
    async close() {
      over.abort()
      await Promise.all([...relays.values()].map((relay) => relay.close()))
    },
  }
}

/** The failure as it is where there is one pod; else with its name. */
function ofPod(pod: string, failure: Failure, pods: number): Failure {
  if (pods === 1) return failure
  const { kind, message, code, detail, next } = failure
  return new Failure(kind, `pod ${pod}: ${message}`, { code, detail, ...(next === undefined ? {} : { next }) })
}

/** Deleted meanwhile: the watch tells of it. */
function ignoreGone(error: unknown): void {
  if (!(error instanceof Failure) || error.code !== '404') throw error
}
