// Strategy `recreate`: one process at a time. Strategies that keep both alive for a moment stand beside this file.
//  1 unready: the gate closes        2 wait until the probes saw it (drain.ts)   3 SIGTERM, grace, SIGKILL of the group
//  4 start the new process           5 it proves itself: it answers in time      6 ready: the gate opens (supervise.ts)
// It promises a clean end, not zero failed requests: between 3 and 5 nobody listens.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Activation } from '@aether/contract/activation'
import { refusal } from '@aether/contract/reasons'
import { resolveAppCommand } from './app-command.ts'
import { askApp } from './ask-app.ts'
import { type Child, startChild } from './child.ts'
import type { SupervisorConfig } from './config.ts'
import type { Gate } from './drain.ts'
import { releasePath } from './follow.ts'

export type SwapConfig = Pick<
  SupervisorConfig,
  'appCommand' | 'port' | 'readyPath' | 'workspaceDir' | 'startTimeoutMs' | 'graceMs' | 'drainMaxMs' | 'propagationMs'
>

/** Steps 1 to 3. An aborted `signal` shortens the drain; the stop itself is always finished. */
export async function stopOld(old: Child, gate: Gate, config: SwapConfig, signal: AbortSignal): Promise<void> {
  gate.close('the app is being replaced') // 1
  if (old.isAlive()) await gate.drained(config.drainMaxMs, config.propagationMs, signal) // 2
  await old.stop(config.graceMs) // 3
}

/** Steps 4 and 5. Throws ReasonError `unhealthy`, or what `signal` aborts with; then the new process is gone. */
export async function startNew(activation: Activation, config: SwapConfig, signal: AbortSignal): Promise<Child> {
  const release = await releasePath(config.workspaceDir, activation.digest).catch((cause: unknown) => {
    throw refusal('unhealthy', 'start', `release ${activation.digest} is not on disk`, { cause })
  })
  const command = await resolveAppCommand(release, config.appCommand)
  signal.throwIfAborted()
  const child = await startChild(command, release, config.port, activation) // 4
  try {
    await becomesReady(child, config, signal) // 5
    return child
  } catch (error) {
    await child.stop(config.graceMs)
    throw error
  }
}

async function becomesReady(child: Child, config: SwapConfig, signal: AbortSignal): Promise<void> {
  const startedAt = performance.now()
  const ended = child.exited.then((how) => {
    throw refusal('unhealthy', 'exited', `the app ended while it started (${how}); its last lines are in the log`)
  })
  ended.catch(() => undefined)
  for (;;) {
    signal.throwIfAborted()
    const waited = performance.now() - startedAt
    const left = config.startTimeoutMs - waited
    if (left <= 0) break
    if (await Promise.race([askApp(config, Math.min(left, 1000)), ended])) return
    await Promise.race([sleep(waited < 1000 ? 5 : 50), ended])
  }
  const what =
    config.readyPath === undefined
      ? `port ${config.port} took no connection`
      : `${config.readyPath} on port ${config.port} did not answer 2xx`
  throw refusal('unhealthy', 'not_ready', `the app was not ready in ${config.startTimeoutMs} ms: ${what}`)
}
