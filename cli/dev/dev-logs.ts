// The app's own lines in the window of `aether dev`, where the cluster gives them; where it does not, it is said once.
import { setTimeout as sleep } from 'node:timers/promises'
import { toFailure } from '../basics/failure.ts'
import type { Output } from '../basics/output.ts'
import { followPods } from '../cluster/follow-pods.ts'
import type { AppQuery } from '../cluster/kubectl.ts'
import { createLineFormat } from '../cluster/log-line.ts'

const againMs = 10_000

/** Resolves when `signal` is aborted. */
export async function showLogs(query: AppQuery, output: Output): Promise<void> {
  const format = createLineFormat(output.colours, false)
  let isSaid = false
  const onLine = (pod: string, line: string) => {
    isSaid = false
    const text = format(pod, line)
    if (text !== undefined) output.line(text)
  }
  for (let since: string | undefined; !query.signal.aborted; since = '10s') {
    // Streams that go on when the look for pods has failed would show each line twice.
    const one = new AbortController()
    const signal = AbortSignal.any([query.signal, one.signal])
    try {
      const request = { ...query, signal, isFollowing: true, withAgents: false, since, tail: since ? 1_000 : 10 }
      await followPods(request, onLine, output.warn)
    } catch (error) {
      if (query.signal.aborted) return
      if (!isSaid) output.warn(`the app's logs are not shown: ${toFailure(error).message}; --no-logs leaves them out`)
      isSaid = true
    } finally {
      one.abort()
    }
    await sleep(againMs, undefined, { signal: query.signal }).catch(() => {})
  }
}
