// Passes over apps: one at a time for each app, a few apps at once, repeated with backoff where one fails.
import type { AppRef } from './ports.ts'

export interface Passes {
  /** A pass will begin after this call, whatever is under way. */
  wake(ref: AppRef): void
  /** A pass at a time of the wall clock, in milliseconds; the last call for an app counts. */
  at(ref: AppRef, when: number): void
  /** Runs `work` while no pass of this app is under way, and lets none begin before its end. */
  alone<T>(ref: AppRef, work: () => Promise<T>): Promise<T>
  /** Begins no pass any more and waits for those under way. */
  stop(): Promise<void>
}

interface Work {
  readonly ref: AppRef
  /** The pass under way, or what runs alone; never rejects. */
  running: Promise<void> | undefined
  isWanted: boolean
  failures: number
  timer: NodeJS.Timeout | undefined
}

const mostAtOnce = 8
const firstRetryMs = 250
const longestRetryMs = 30_000
// setTimeout takes no longer one.
const longestTimerMs = 2 ** 31 - 1

export function createPasses(
  pass: (ref: AppRef) => Promise<void>,
  failed: (ref: AppRef, error: unknown, retryMs: number) => void,
): Passes {
  const all = new Map<string, Work>()
  const waiting: Work[] = []
  const running = new Set<Promise<void>>()
  let isStopped = false

  function workOf(ref: AppRef): Work {
    const key = `${ref.namespace}/${ref.app}`
    const known = all.get(key)
    if (known !== undefined) return known
    const work = { ref, running: undefined, isWanted: false, failures: 0, timer: undefined }
    all.set(key, work)
    return work
  }
  function want(work: Work): void {
    if (isStopped || work.isWanted) return
    work.isWanted = true
    waiting.push(work)
    begin()
  }
  function begin(): void {
    for (let at = 0; at < waiting.length && running.size < mostAtOnce && !isStopped; ) {
      const work = waiting[at]
      if (work === undefined || work.running !== undefined) at++
      else {
        waiting.splice(at, 1)
        work.isWanted = false
        const one = Promise.resolve()
          .then(() => run(work))
          .finally(() => {
            running.delete(one)
            finish(work)
          })
        running.add(one)
        work.running = one
      }
    }
  }
  async function run(work: Work): Promise<void> {
    try {
      await pass(work.ref)
      work.failures = 0
    } catch (error) {
      const limit = Math.min(longestRetryMs, firstRetryMs * 2 ** work.failures++)
      const retryMs = Math.round(limit * (0.5 + Math.random() / 2))
      failed(work.ref, error, retryMs)
      later(work, retryMs)
    }
  }
  function finish(work: Work): void {
    work.running = undefined
    // What never fails, waits for nothing and is wanted by nobody is forgotten.
    if (!work.isWanted && work.timer === undefined) all.delete(`${work.ref.namespace}/${work.ref.app}`)
    begin()
  }
  function later(work: Work, ms: number): void {
    clearTimeout(work.timer)
    if (isStopped) return
    work.timer = setTimeout(
      () => {
        work.timer = undefined
        want(work)
      },
      Math.min(longestTimerMs, Math.max(0, ms)),
    )
  }

  return {
    wake: (ref) => want(workOf(ref)),
    at: (ref, when) => later(workOf({ namespace: ref.namespace, app: ref.app }), when - Date.now()),
    async alone(ref, task) {
      let work = workOf(ref)
      while (work.running !== undefined) {
        await work.running
        work = workOf(ref)
      }
      const { promise, resolve } = Promise.withResolvers<void>()
      work.running = promise
      try {
        return await task()
      } finally {
        finish(work)
        resolve()
      }
    },
    async stop() {
      isStopped = true
      for (const { timer } of all.values()) clearTimeout(timer)
      waiting.length = 0
      await Promise.all(running)
    },
  }
}
