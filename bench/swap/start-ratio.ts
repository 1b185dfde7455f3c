// From the release on disk to its first answer, beside how long the same app takes when it is started by hand: what
// there is more is ours. Nothing else runs, and both are asked over a fresh connection each millisecond.
import type { Client } from './client.ts'
import type { Contestant } from './contestants.ts'
import { type Place, startNode } from './peers.ts'
import { idleLoad, measureChange, patienceMs } from './session.ts'

const load = { ...idleLoad, freshEveryMs: 1 }

/** Milliseconds from the spawn to the first answer. `place` has the app's folder, and ports that nobody listens on. */
export async function measureBareStart(client: Client, { folder, env, targets }: Place): Promise<number> {
  client.start({ ...load, targets })
  const at = Date.now()
  const { stop } = startNode(['server.js'], folder, env)
  try {
    const first = await client.seen(() => true, patienceMs)
    await client.stop()
    return first.atMs - at
  } finally {
    await stop()
  }
}

/** Milliseconds from the flip to the first answer. */
export async function measureOwnStart(client: Client, { targets, version, change }: Contestant): Promise<number> {
  if (change === undefined) throw new Error('it cannot be changed')
  client.start({ ...load, targets })
  const ms = await measureChange(client, version(), change)
  await client.stop()
  return ms
}
