// For tests: one refresh from start to end in a process that may be killed at any step: what the loop does between two
// deliveries, by the loop's own functions. argv: its input as JSON.
import { layoutOf } from '@aether/contract/layout'
import { parseTarget } from '@aether/contract/target'
import { keepForStandby, prepareNext } from '@aether/release/background'
import { lockVolume } from '@aether/release/lock'
import { pruneReleases } from '@aether/release/prune'
import { recoverVolume } from '@aether/release/recover'
import { refresh } from '@aether/release/refresh'
import { limits, sources } from '@aether/release/test-kit'
import { createKeyring } from '@aether/verifier/keyring'
import { saveState } from './state.ts'

export interface OnceInput {
  readonly root: string
  readonly publicPem: string
  readonly annotations: Readonly<Record<string, string>>
  readonly keep: number
}

async function refreshOnce({ root, publicPem, annotations, keep }: OnceInput): Promise<void> {
  const layout = layoutOf(root)
  const target = parseTarget(annotations)
  if (target === undefined) throw new Error('no target')
  await lockVolume(layout)
  await recoverVolume(layout)
  const policy = { requireSignature: true, takesDevelopment: false, keyring: createKeyring(publicPem, 'key') }
  const { activation } = await refresh(target, { layout, policy, sources, limits }, new AbortController().signal)
  const { id, digest } = activation
  await saveState(layout.state, {
    failures: 0,
    reported: id,
    lastDigest: digest,
    served: annotations,
    refused: null,
    failed: null,
  })
  await pruneReleases(layout, keep, [], (old, folder) => keepForStandby(layout, old, folder))
  await prepareNext(layout, true, new AbortController().signal)
  process.exit(0)
}

await refreshOnce(JSON.parse(process.argv[2] ?? '{}'))
