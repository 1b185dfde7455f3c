// The one pass: brings the target, unless it is there already (the container was restarted) and is trusted.
import type { Target } from '@aether/contract/target'
import { readActivation, readCurrent } from '@aether/release/activate'
import { lockVolume } from '@aether/release/lock'
import { recoverVolume } from '@aether/release/recover'
import { type RefreshOptions, refresh } from '@aether/release/refresh'
import { type Refreshed, refreshedBefore } from '@aether/release/refreshed'

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

/** Throws a ReasonError; then nothing half-done is left on the volume. */
export async function fetchFirst(target: Target, options: RefreshOptions): Promise<Refreshed> {
  const { layout, limits } = options
  const lock = await lockVolume(layout)
  try {
    const lost = await recoverVolume(layout)
    const activation = await readActivation(layout)
    if (activation?.digest === target.digest && (await readCurrent(layout)) === target.digest)
      return refreshedBefore(activation)
    const refreshed = await refresh(target, options, AbortSignal.timeout(limits.totalMs))
    // What the fetcher needs to know of a tree, so that it can ask for what changed. Without it, it asks for the whole.
    if (refreshed.source !== 'archive' && refreshed.source !== 'reused') {
      const { settleTrees } = await import('@aether/release/held-trees')
      await settleTrees(layout, never).catch(() => undefined)
    }
    return lost === undefined ? refreshed : { ...refreshed, warnings: [lost.message, ...refreshed.warnings] }
  } finally {
    await lock.release()
  }
}
