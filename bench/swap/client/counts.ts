// Counts what the workers see; `take` answers it and begins anew.
import type { Fault } from './fault.ts'
import { type Failed, type Seen, type Tally, type Work, works } from './protocol.ts'

export interface Counts {
  answered(work: Work, line: string, ms: number): void
  failed(work: Work, fault: Fault, openedAt: number): void
  connected(ms: number): void
  closedIdle(): void
  take(): Tally
}

const slowConnectMs = 500
const maxFailedListed = 50_000
const maxSeen = 10_000
/** Latencies are counted in steps of 10 us, up to a second; what is longer counts as a second. */
const steps = 100_000

export function createCounts(onSeen: (seen: Seen) => void): Counts {
  const seen = new Set<string>()
  let current = startTally()
  return {
    answered(work, line, ms) {
      current.answered[work]++
      if (work === 'busy') {
        const step = Math.min(steps - 1, Math.floor(ms * 100))
        current.latencies[step] = (current.latencies[step] ?? 0) + 1
        current.longestMs = Math.max(current.longestMs, ms)
      }
      if (seen.has(line)) return
      if (seen.size === maxSeen) throw new Error(`more than ${maxSeen} different answers`)
      seen.add(line)
      onSeen({ answer: line, atMs: Date.now() })
    },
    failed(work, { kind, message }, openedAt) {
      current.failedCount++
      if (current.failed.length === maxFailedListed) return
      current.failed.push({ kind, work, openedAtMs: Date.now() - (performance.now() - openedAt), message })
    },
    connected(ms) {
      current.connects++
      if (ms > slowConnectMs) current.slowConnects++
      current.longestConnectMs = Math.max(current.longestConnectMs, ms)
    },
    closedIdle() {
      current.closedIdle++
    },
    take() {
      const { startedAt, latencies, ...counted } = current
      current = startTally()
      return {
        ...counted,
        seconds: (current.startedAt - startedAt) / 1000,
        p50Ms: percentile(latencies, 0.5),
        p99Ms: percentile(latencies, 0.99),
      }
    },
  }
}

function startTally() {
  return {
    startedAt: performance.now(),
    answered: { busy: 0, calm: 0, fresh: 0, slow: 0, upload: 0, stream: 0 } satisfies Record<Work, number>,
    failedCount: 0,
    failed: Array.of<Failed>(),
    latencies: new Uint32Array(steps),
    longestMs: 0,
    connects: 0,
    slowConnects: 0,
    longestConnectMs: 0,
    closedIdle: 0,
  }
}

/** 0 where nothing was counted. */
function percentile(latencies: Uint32Array, share: number): number {
  const wanted = share * latencies.reduce((sum, count) => sum + count, 0)
  let sum = 0
  for (const [step, count] of latencies.entries()) {
    sum += count
    if (count > 0 && sum >= wanted) return (step + 1) / 100
  }
  return 0
}

/** All requests of a tally, answered and failed. */
export function requestsOf({ answered, failedCount }: Tally): number {
  return works.reduce((sum, work) => sum + answered[work], failedCount)
}
