// One refresh on disk, as a list: verify -> bring (bring.ts) -> activate. Prune comes after the verdict (fetcher/outcomes.ts).
import type { Digest } from '@aether/contract/digest'
import type { VolumeLayout } from '@aether/contract/layout'
import type { Target } from '@aether/contract/target'
import type { Authorize } from '@aether/runtime/control-token'
import { activate, findRelease } from './activate.ts'
import { bringRelease, onDisk } from './bring.ts'
import type { RoomLimits } from './budget.ts'
import type { FetchLimits } from './fetch.ts'
import type { SourcePolicy } from './origins.ts'
import type { Refreshed } from './refreshed.ts'
import type { UnpackLimits } from './unpack.ts'
import { presumeTarget, type SignaturePolicy } from './verify.ts'

export type RefreshLimits = FetchLimits & UnpackLimits & RoomLimits

export interface RefreshOptions {
  readonly layout: VolumeLayout
  readonly policy: SignaturePolicy
  /** Where artifacts may come from. */
  readonly sources: SourcePolicy
  readonly limits: RefreshLimits
  /** Releases that a process may still read; without it none does. */
  readonly inUse?: () => Promise<readonly Digest[]>
  /** The credential for a URL of the artifact; without it none is ever sent. */
  readonly authorize?: Authorize | undefined
}

/** Throws a ReasonError; then `current` is where it was and staging is clean. `before` is the target served until now. */
export async function refresh(
  target: Target,
  options: RefreshOptions,
  signal: AbortSignal,
  before?: Target,
): Promise<Refreshed> {
  const { layout, policy } = options
  const lap = createLaps()
  const presumed = await presumeTarget(target, policy, before)
  const verifyMs = lap()
  const found = await findRelease(layout, target.digest, signal)
  const {
    release,
    warnings: more,
    ...brought
  } = found === undefined ? await bringRelease(presumed, options, signal, before) : onDisk(found)
  const fetchMs = lap()
  const signed = presumed.confirm()
  signal.throwIfAborted()
  const activation = await activate(release, layout, target.commit ?? null, () => new Date())
  const activateMs = lap()
  const { keyId } = signed
  const warnings = [...signed.warnings, ...more]
  return { activation, reused: found !== undefined, ...brought, warnings, keyId, verifyMs, fetchMs, activateMs }
}

function createLaps(): () => number {
  let last = performance.now()
  return () => {
    const now = performance.now()
    const lap = now - last
    last = now
    return lap
  }
}
