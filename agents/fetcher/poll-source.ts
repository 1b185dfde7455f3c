// Mode `poll`: asks for the own pod at each interval.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '@aether/runtime/log'
import type { Part } from '@aether/runtime/parts'
import { createDelivery, type Delivery } from './delivery.ts'
import type { PodApi } from './pod-api.ts'

export interface PollSourceOptions {
  readonly api: Pick<PodApi, 'get'>
  readonly intervalMs: number
  readonly deliver: (delivery: Delivery) => void
  /** Called at each answer. */
  readonly contact: () => void
  readonly log: Log
}

export function createPollSource({ api, intervalMs, deliver, contact, log }: PollSourceOptions): Part {
  const stop = new AbortController()
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        const pod = await api.get(stop.signal)
        contact()
        deliver(createDelivery(pod.annotations, performance.now()))
      } catch (error) {
        if (!stop.signal.aborted) log.warn({ err: error }, 'the own pod cannot be asked for; the last target stays')
      }
      // Spread, so that many pods do not ask at the same moment.
      const pauseMs = intervalMs * (0.9 + Math.random() / 5)
      await sleep(pauseMs, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  }
  return {
    name: 'poll source',
    start() {
      running = run()
    },
    async stop() {
      stop.abort()
      await running
    },
  }
}
