// Mode `watch`: get, then watch from there; whatever ends the watch, it begins again with a fresh get, never from a
// version that may be stale. A watchdog does the same when nothing came for too long (bookmarks come each minute).
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '@aether/runtime/log'
import type { Part } from '@aether/runtime/parts'
import { ApiServerError } from './api-server.ts'
import { createDelivery, type Delivery } from './delivery.ts'
import type { PodApi } from './pod-api.ts'

export interface WatchSourceOptions {
  readonly api: PodApi
  readonly deliver: (delivery: Delivery) => void
  /** Called whenever the API server was heard from; bookmarks count. */
  readonly contact: () => void
  readonly log: Log
  readonly silenceMs: number
}

const shortestPauseMs = 200
const longestPauseMs = 10_000

export function createWatchSource({ api, deliver, contact, log, silenceMs }: WatchSourceOptions): Part {
  const stop = new AbortController()
  let running: Promise<void> | undefined
  let failures = 0

  async function once(): Promise<void> {
    const silent = new AbortController()
    const watchdog = setTimeout(
      () => silent.abort(new ApiServerError(0, `nothing came for ${silenceMs} ms`)),
      silenceMs,
    )
    const signal = AbortSignal.any([stop.signal, silent.signal])
    try {
      const pod = await api.get(signal)
      contact()
      deliver(createDelivery(pod.annotations, performance.now()))
      const calls = {
        onPod: (changed: { annotations: Readonly<Record<string, string>> }) =>
          deliver(createDelivery(changed.annotations, performance.now())),
        onContact: () => {
          failures = 0
          contact()
          watchdog.refresh()
        },
      }
      await api.watch(pod.resourceVersion, calls, signal)
    } finally {
      clearTimeout(watchdog)
    }
  }
  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await once()
      } catch (error) {
        if (stop.signal.aborted) return
        failures++
        const status = error instanceof ApiServerError ? error.status : 0
        log.warn({ status, failures, err: error }, 'the watch on the own pod ended; it begins again')
      }
      const pause = Math.min(longestPauseMs, shortestPauseMs * 2 ** failures) * (0.5 + Math.random() / 2)
      await sleep(pause, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  }

  return {
    name: 'watch source',
    start() {
      running = run()
    },
    async stop() {
      stop.abort()
      await running
    },
  }
}
