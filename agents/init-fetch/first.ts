// The one pass: brings the target, unless it is there already (the container was restarted).
import type { Target } from '@aether/contract/target'
import { readActivation, readCurrent } from '@aether/release/activate'
import { lockVolume } from '@aether/release/lock'
import { recoverVolume } from '@aether/release/recover'
import { type RefreshOptions, refresh } from '@aether/release/refresh'
import { type Refreshed, refreshedBefore } from '@aether/release/refreshed'

/** Throws a ReasonError; then nothing half-done is left on the volume. */
export async function fetchFirst(target: Target, options: RefreshOptions): Promise<Refreshed> {
  const { layout, limits } = options
  const lock = await lockVolume(layout)
  try {
    await recoverVolume(layout)
    const activation = await readActivation(layout)
    if (activation?.digest === target.digest && (await readCurrent(layout)) === target.digest)
      return refreshedBefore(activation)
    return await refresh(target, options, AbortSignal.timeout(limits.totalMs))
  } finally {
    await lock.release()
  }
}
