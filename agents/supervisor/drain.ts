// Readiness as the probes see it, and the wait until they have seen it go.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Readiness } from '@aether/runtime/health'

export interface Gate {
  /** Answers a readiness probe; `ask` is asked only while the gate is open. */
  readiness(ask: () => Promise<boolean>): Promise<Readiness>
  open(): void
  close(why: string): void
  /** Resolves when a probe was told `not ready` and `propagationMs` went by after it, or after `maxMs` without a probe. */
  drained(maxMs: number, propagationMs: number, signal: AbortSignal): Promise<void>
}

export function createGate(): Gate {
  let closed: string | undefined = 'no release yet'
  let told = () => {}
  return {
    async readiness(ask) {
      if (closed !== undefined) {
        told()
        return { ready: false, message: closed }
      }
      const ready = await ask()
      return { ready, message: ready ? 'the app answers' : 'the app does not answer' }
    },
    open() {
      closed = undefined
    },
    close(why) {
      closed = why
    },
    async drained(maxMs, propagationMs, signal) {
      if (maxMs === 0) return
      const seen = new Promise<boolean>((resolve) => {
        told = () => resolve(true)
      })
      const given = sleep(maxMs, false, { signal }).catch(() => false)
      if (await Promise.race([seen, given])) await sleep(propagationMs, undefined, { signal }).catch(() => undefined)
      told = () => {}
    },
  }
}
