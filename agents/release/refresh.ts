// One refresh on disk, as a list: verify -> fetch -> extract -> activate. Prune comes after the verdict (fetcher/outcomes.ts).
import type { Digest } from '@aether/contract/digest'
import type { VolumeLayout } from '@aether/contract/layout'
import type { Target } from '@aether/contract/target'
import type { Authorize } from '@aether/runtime/control-token'
import { activate, findRelease, installRelease, type Release } from './activate.ts'
import { openRoom, type RoomLimits } from './budget.ts'
import { extractArtifact } from './extract.ts'
import { type FetchLimits, fetchArtifact } from './fetch.ts'
import type { SourcePolicy } from './origins.ts'
import type { Refreshed } from './refreshed.ts'
import type { UnpackLimits } from './unpack.ts'
import { type SignaturePolicy, type SignedTarget, verifyTarget } from './verify.ts'

export interface RefreshOptions {
  readonly layout: VolumeLayout
  readonly policy: SignaturePolicy
  /** Where artifacts may come from. */
  readonly sources: SourcePolicy
  readonly limits: FetchLimits & UnpackLimits & RoomLimits
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
  const signed = await verifyTarget(target, policy, before)
  const verifyMs = lap()
  const found = await findRelease(layout, target.digest, signal)
  const brought = found === undefined ? await bring(signed, options, signal, before) : { release: found, extractMs: 0 }
  const fetchMs = lap()
  signal.throwIfAborted()
  const activation = await activate(brought.release, layout, target.commit ?? null, () => new Date())
  const activateMs = lap()
  const { warnings, keyId } = signed
  return {
    activation,
    reused: found !== undefined,
    bytes: brought.release.artifactBytes,
    warnings,
    keyId,
    verifyMs,
    fetchMs,
    extractMs: brought.extractMs,
    activateMs,
  }
}

async function bring(
  signed: SignedTarget,
  { layout, sources, limits, inUse, authorize }: RefreshOptions,
  signal: AbortSignal,
  before: Target | undefined,
): Promise<{ readonly release: Release; readonly extractMs: number }> {
  const room = await openRoom(layout, limits, (await inUse?.()) ?? [])
  const stream = await fetchArtifact(signed, { ...limits, sources, authorize }, signal, before)
  const lap = createLaps()
  const staged = await extractArtifact(stream, signed.target.digest, layout, limits, room)
  const release = await installRelease(staged, layout)
  return { release, extractMs: lap() }
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
