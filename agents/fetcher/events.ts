// Events on the own pod, where its service account may create them: `kubectl describe pod` then shows what became of
// each target. Never in the way: one that cannot be written is lost, and where they are refused none is tried again.
import { hexOf } from '@aether/contract/digest'
import type { Log } from '@aether/runtime/log'
import type { ApiServer } from './api-server.ts'
import type { FetcherConfig } from './config.ts'
import type { Observer } from './observe.ts'

export interface EventPod {
  readonly name: string
  readonly namespace: string
  readonly uid: string
}

const answerMs = 10_000
const mostUnderWay = 5

/** The observer itself where the pod's uid is not set, or no token is there (mode `file`). */
export async function withEvents(observer: Observer, config: FetcherConfig, log: Log): Promise<Observer> {
  if (config.pod.uid === '' || config.mode === 'file') return observer
  const { createApiServer } = await import('./api-server.ts')
  return recordEvents(observer, createApiServer(config.api), config.pod, log)
}

/** The observer, and an Event for each outcome that it is told of. */
export function recordEvents(observer: Observer, server: ApiServer, pod: EventPod, log: Log): Observer {
  let isRefused = false
  let underWay = 0

  async function record(type: 'Normal' | 'Warning', reason: string, message: string): Promise<void> {
    if (isRefused || underWay >= mostUnderWay) return
    underWay++
    try {
      const path = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/events`
      const body = JSON.stringify(eventOf(pod, type, reason, message, new Date().toISOString()))
      const signal = AbortSignal.timeout(answerMs)
      const response = await server.send({ method: 'POST', path, accept: 'application/json', body }, signal)
      response.resume()
    } catch (error) {
      isRefused = error instanceof Error && 'status' in error && error.status === 403
      log.warn({ err: error }, isRefused ? 'events are refused; none is tried again' : 'an event is lost')
    } finally {
      underWay--
    }
  }
  return {
    ...observer,
    ok(settled, state) {
      observer.ok(settled, state)
      const { activation, ms } = settled
      const commit = activation.commit === null ? '' : `, commit ${activation.commit}`
      void record(
        'Normal',
        'RefreshOk',
        `serves ${hexOf(activation.digest).slice(0, 12)} after ${Math.round(ms)} ms${commit}`,
      )
    },
    fail(error, about, ms, state) {
      observer.fail(error, about, ms, state)
      void record('Warning', 'RefreshFail', `${error.reason}: ${error.message}`)
    },
  }
}

/** https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/, in its core/v1 form. */
function eventOf(pod: EventPod, type: string, reason: string, message: string, at: string) {
  const { name, namespace, uid } = pod
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { generateName: `${name}.`, namespace },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', name, namespace, uid },
    type,
    reason,
    message: message.slice(0, 1000),
    source: { component: 'aether-fetcher' },
    firstTimestamp: at,
    lastTimestamp: at,
    count: 1,
  }
}
