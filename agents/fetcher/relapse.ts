// A release that served and was refused after all: the supervisor takes back what ends again and again soon after its swap.
import type { Activation } from '@aether/contract/activation'
import { type ReasonError, refusal } from '@aether/contract/reasons'
import { watchFolder } from '@aether/runtime/watch-folder'
import { readSupervisorState, verdictOf } from './verdict.ts'

export interface Relapse {
  readonly activation: Activation
  readonly refused: ReasonError
}

export interface RelapseWatch {
  /** Aborts when there is one. */
  readonly signal: AbortSignal
  readonly relapse: () => Relapse | undefined
  close(): void
}

/** Rarely, because it is no hurry: the supervisor has the release before it running already. */
const intervalMs = 1000

export function watchRelapse(activation: Activation, runDir: string): RelapseWatch {
  const seen = new AbortController()
  let relapse: Relapse | undefined
  const watching = watchFolder(runDir, intervalMs, async () => {
    const state = await readSupervisorState(runDir)
    const verdict = state === undefined ? 'none' : verdictOf(state, activation)
    if (verdict === undefined || verdict === 'none' || seen.signal.aborted) return
    relapse = { activation, refused: refusal('unhealthy', 'crashed', verdict.message, { cause: verdict }) }
    watching.close()
    seen.abort()
  })
  return { signal: seen.signal, relapse: () => relapse, close: () => watching.close() }
}
