// The one pass: brings the target, unless it is there already (the container was restarted) and is trusted.
import { setTimeout as sleep } from 'node:timers/promises'
import { ReasonError, refusal } from '@aether/contract/reasons'
import type { Target } from '@aether/contract/target'
import { readActivation, readCurrent } from '@aether/release/activate'
import { lockVolume } from '@aether/release/lock'
import { recoverVolume } from '@aether/release/recover'
import { type RefreshOptions, refresh } from '@aether/release/refresh'
import { type Refreshed, refreshedBefore } from '@aether/release/refreshed'

const passing: ReadonlySet<string> = new Set(['unreachable', 'truncated', 'http_status'])
const pausesMs = [500, 1_000, 2_000, 4_000]
const never = new AbortController().signal

/** For a pod without a first release: the app's container mounts a folder of the volume. */
export async function prepareVolume(layout: RefreshOptions['layout']): Promise<void> {
  const lock = await lockVolume(layout)
  try {
    await recoverVolume(layout)
  } finally {
    await lock.release()
  }
}

/**
 * Throws a ReasonError; then nothing half-done is left on the volume. A fault of the way that may pass (a Service that has no endpoint
 * yet, a server that restarts) is told and tried again for some seconds: the kubelet would wait ten, and then twice as long each time
 * (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy).
 */
export async function fetchFirst(
  target: Target,
  options: RefreshOptions,
  tell: (error: ReasonError, pauseMs: number) => void,
  signal: AbortSignal,
): Promise<Refreshed> {
  for (const pauseMs of pausesMs) {
    try {
      return await fetchOnce(target, options, signal)
    } catch (error) {
      if (!isPassing(error) || signal.aborted) throw error
      // The pods of an app are often born together; and a server that is busy says for how long it wants to be left alone.
      const waitMs = Math.round(pauseMs * (0.5 + Math.random() / 2)) + (error.retryAfterMs ?? 0)
      tell(error, waitMs)
      await sleep(waitMs, undefined, { signal }).catch(() => undefined)
    }
  }
  return fetchOnce(target, options, signal)
}

function isPassing(error: unknown): error is ReasonError {
  return error instanceof ReasonError && error.reason === 'download' && passing.has(error.detail)
}

async function fetchOnce(target: Target, options: RefreshOptions, signal: AbortSignal): Promise<Refreshed> {
  const { layout, limits } = options
  const lock = await lockVolume(layout)
  try {
    const lost = await recoverVolume(layout)
    const activation = await readActivation(layout)
    if (activation?.digest === target.digest && (await readCurrent(layout)) === target.digest)
      return refreshedBefore(activation)
    const refreshed = await refresh(target, options, AbortSignal.any([signal, AbortSignal.timeout(limits.totalMs)]))
    // What the fetcher needs to know of a tree, so that it can ask for what changed. Without it, it asks for the whole.
    if (refreshed.source !== 'archive' && refreshed.source !== 'reused') {
      const { settleTrees } = await import('@aether/release/held-trees')
      await settleTrees(layout, never).catch(() => undefined)
    }
    return lost === undefined ? refreshed : { ...refreshed, warnings: [lost.message, ...refreshed.warnings] }
  } catch (cause) {
    if (!signal.aborted || cause instanceof ReasonError) throw cause
    throw refusal('download', 'truncated', 'init-fetch was ended (SIGTERM) before the release was there', { cause })
  } finally {
    await lock.release()
  }
}
