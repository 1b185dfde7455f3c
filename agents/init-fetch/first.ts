// The one pass: what the annotations file asks for, unless it is there already (the container was restarted).
import { readFile } from 'node:fs/promises'
import { parsePodinfo } from '@aether/contract/podinfo'
import { refusal } from '@aether/contract/reasons'
import { parseTarget, type Target } from '@aether/contract/target'
import { readActivation, readCurrent } from '@aether/release/activate'
import { lockVolume } from '@aether/release/lock'
import { recoverVolume } from '@aether/release/recover'
import { type Refreshed, refresh, refreshedBefore } from '@aether/release/refresh'
import type { InitFetchConfig } from './config.ts'

/** Throws a ReasonError; then nothing half-done is left on the volume. */
export async function fetchFirst(config: InitFetchConfig): Promise<Refreshed> {
  const { layout } = config.refresh
  const target = await readTarget(config.annotationsFile)
  const lock = await lockVolume(layout)
  try {
    await recoverVolume(layout)
    const activation = await readActivation(layout)
    if (activation?.digest === target.digest && (await readCurrent(layout)) === target.digest)
      return refreshedBefore(activation)
    return await refresh(target, config.refresh, AbortSignal.timeout(config.refresh.limits.totalMs))
  } finally {
    await lock.release()
  }
}

async function readTarget(path: string): Promise<Target> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw refusal(
      'target',
      'digest_missing',
      `${path} cannot be read: mount the pod's annotations there (downwardAPI)`,
      { cause },
    )
  })
  const target = parseTarget(parsePodinfo(text))
  if (target !== undefined) return target
  throw refusal(
    'target',
    'digest_missing',
    'the pod has no aether.dev/digest and aether.dev/artifact-url: annotate its template, so that a new pod knows what to run',
  )
}
