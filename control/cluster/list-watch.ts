// Keeps up with one kind of object: list, then watch from there. Whatever breaks the watch, it lists afresh, never from a
// version that may be stale; only a watch that the server ended in order goes on from the last version seen. A watchdog
// begins anew when nothing came for too long (bookmarks come each minute).
// https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '@aether/runtime/log'
import { type ApiServer, ApiServerError, statusError } from './api-server.ts'
import { at, listAt, textAt } from './json-path.ts'

/** Where the objects go. `object` is as the API server sent it. */
export interface Sink {
  put(object: unknown): void
  drop(object: unknown): void
  /** A list begins; what is not put until its end is gone. */
  beginList(): void
  endList(): void
}

export interface WatchTimes {
  /** Without a line for so long, a watch is dead. */
  readonly silenceMs: number
  readonly shortestPauseMs: number
  readonly longestPauseMs: number
}

export interface ListWatchOptions {
  readonly api: ApiServer
  /** For people. */
  readonly what: string
  /** Of the collection. */
  readonly path: string
  /** A label that the objects have. */
  readonly label: string
  readonly metadataOnly: boolean
  readonly sink: Sink
  readonly log: Pick<Log, 'warn'>
  readonly times: WatchTimes
}

export interface ListWatch {
  /** Resolves when the first list is in; rejects where it is stopped before. */
  readonly listed: Promise<void>
  /** Why it does not keep up now; null where it does. */
  fault(): string | null
  /** Milliseconds since the API server was last heard of. */
  silentMs(): number
  stop(): Promise<void>
}

const pageSize = 500
const watchSeconds = 300

export function startListWatch(options: ListWatchOptions): ListWatch {
  const { api, what, sink, log, times } = options
  const end = new AbortController()
  const first = Promise.withResolvers<void>()
  // Nobody may be waiting for it.
  first.promise.catch(() => undefined)
  const group = options.metadataOnly ? ';v=v1;g=meta.k8s.io' : ''
  const accept = (kind: string) => (group === '' ? 'application/json' : `application/json;as=${kind}${group}`)
  let fault: string | null = `the first list of ${what} is not in yet`
  let contactAt = performance.now()
  let failures = 0

  /** Answers the version to watch from. */
  async function list(signal: AbortSignal, alive: () => void): Promise<string> {
    let next = ''
    sink.beginList()
    for (;;) {
      const query = new URLSearchParams({ labelSelector: options.label, limit: String(pageSize) })
      if (next !== '') query.set('continue', next)
      const request = {
        method: 'GET',
        path: `${options.path}?${query.toString()}`,
        accept: accept('PartialObjectMetadataList'),
      } as const
      const page = await api.send(request, signal)
      alive()
      contactAt = performance.now()
      for (const item of listAt(page, 'items')) sink.put(item)
      next = textAt(page, 'metadata', 'continue') ?? ''
      if (next !== '') continue
      const version = textAt(page, 'metadata', 'resourceVersion')
      if (version === undefined) throw new ApiServerError(0, `the API server sent a list of ${what} without a version`)
      sink.endList()
      fault = null
      first.resolve()
      return version
    }
  }

  /** Resolves with the last version seen when the server ends the watch. */
  async function watch(from: string, signal: AbortSignal, alive: () => void): Promise<string> {
    let version = from
    const query = new URLSearchParams({
      labelSelector: options.label,
      watch: '1',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(Math.round(watchSeconds * (1 + Math.random()))),
      resourceVersion: from,
    })
    const events = await api.stream(`${options.path}?${query.toString()}`, accept('PartialObjectMetadata'), signal)
    fault = null
    contactAt = performance.now()
    // Until something comes: a server that ends each watch at once is asked more and more slowly.
    failures++
    for await (const event of events) {
      const object = at(event, 'object')
      const type = textAt(event, 'type')
      if (type === 'ERROR') throw statusError(0, object)
      const seen = textAt(object, 'metadata', 'resourceVersion')
      if (seen === undefined) throw new ApiServerError(0, `the API server sent an event of ${what} without a version`)
      alive()
      contactAt = performance.now()
      failures = 0
      version = seen
      if (type === 'ADDED' || type === 'MODIFIED') sink.put(object)
      else if (type === 'DELETED') sink.drop(object)
    }
    return version
  }

  /** Answers the version to go on from; undefined where a fresh list is needed. */
  async function once(from: string | undefined): Promise<string | undefined> {
    const silent = new AbortController()
    const watchdog = setTimeout(
      () => silent.abort(new ApiServerError(0, `nothing came for ${times.silenceMs} ms`)),
      times.silenceMs,
    )
    const signal = AbortSignal.any([end.signal, silent.signal])
    const alive = () => void watchdog.refresh()
    try {
      const version = from ?? (await list(signal, alive))
      return await watch(version, signal, alive)
    } catch (error) {
      if (end.signal.aborted) return undefined
      failures++
      const message = error instanceof Error ? error.message : String(error)
      fault = `${what} are not followed (try ${failures}): ${message}`
      log.warn({ what, failures, err: error }, 'a watch on the cluster broke; it begins anew')
      return undefined
    } finally {
      clearTimeout(watchdog)
    }
  }

  async function run(): Promise<void> {
    let version: string | undefined
    while (!end.signal.aborted) {
      version = await once(version)
      const pause = Math.min(times.longestPauseMs, times.shortestPauseMs * 2 ** Math.min(failures, 20))
      await sleep(pause * (0.5 + Math.random() / 2), undefined, { signal: end.signal }).catch(() => undefined)
    }
  }
  const running = run()

  return {
    listed: first.promise,
    fault: () => fault,
    silentMs: () => performance.now() - contactAt,
    async stop() {
      const reason = new ApiServerError(0, 'control stops')
      end.abort(reason)
      first.reject(reason)
      await running
    },
  }
}
