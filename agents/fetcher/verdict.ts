// The supervisor's verdict on an activation, from supervisor.json. The app could have written that file, so it is read
// as input: no link followed, no FIFO waited on, a size cap, a shape.
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Activation } from '@aether/contract/activation'
import { supervisorStateName } from '@aether/contract/layout'
import { isDetailOf, type ReasonError, refusal } from '@aether/contract/reasons'
import { maxSupervisorStateBytes, parseSupervisorState, type SupervisorState } from '@aether/contract/supervisor-state'
import { watchFolder } from '@aether/runtime/watch-folder'

/** The state; `undefined` where there is none that can be believed. */
export async function readSupervisorState(runDir: string): Promise<SupervisorState | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  try {
    const file = await open(join(runDir, supervisorStateName), flags)
    try {
      if (!(await file.stat()).isFile()) return undefined
      const { bytesRead, buffer } = await file.read(
        Buffer.alloc(maxSupervisorStateBytes + 1),
        0,
        maxSupervisorStateBytes + 1,
        0,
      )
      return bytesRead > maxSupervisorStateBytes
        ? undefined
        : parseSupervisorState(buffer.toString('utf8', 0, bytesRead))
    } finally {
      await file.close()
    }
  } catch {
    return undefined
  }
}

/**
 * Resolves with `undefined` when the activation serves, with a ReasonError `unhealthy` when it was refused, or `timeout`
 * when a supervisor that is there said nothing for `timeoutMs`; one that is not there yet is waited for.
 * Rejects when `signal` aborts.
 */
export function awaitVerdict(
  activation: Activation,
  runDir: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ReasonError | undefined> {
  return new Promise((resolve, reject) => {
    let deadline: number | undefined
    const watching = watchFolder(runDir, 250, look)
    const abort = () => end(() => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted')))
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()

    function end(settle: () => void): void {
      watching.close()
      signal.removeEventListener('abort', abort)
      settle()
    }
    async function look(): Promise<void> {
      const state = await readSupervisorState(runDir)
      if (state === undefined) return
      deadline ??= performance.now() + timeoutMs
      const verdict = verdictOf(state, activation)
      if (verdict !== 'none') end(() => resolve(verdict))
      else if (performance.now() > deadline)
        end(() =>
          resolve(
            refusal(
              'timeout',
              'verdict',
              `the supervisor gave no verdict on activation ${activation.id} in ${timeoutMs} ms`,
            ),
          ),
        )
    }
  })
}

/** Nothing where it serves, why it was refused, or `none`. */
export function verdictOf(state: SupervisorState, activation: Activation): ReasonError | undefined | 'none' {
  if (state.activation !== activation.id || state.outcome === 'pending') return 'none'
  if (state.outcome === 'fail') {
    const { detail, message } = state
    const known = detail !== null && isDetailOf('unhealthy', detail) ? detail : 'start'
    return refusal('unhealthy', known, message ?? 'the supervisor refused the release without saying why')
  }
  return state.digest === activation.digest ? undefined : 'none'
}
