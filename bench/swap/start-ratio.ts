// From the release on disk to its first answer, beside how long the same app takes when it is started by hand: what
// there is more is ours. Nothing else runs, a spare has had the time to become one, and both are asked over a fresh connection
// every 5 ms: the old process answers them meanwhile, and a thousand a second would cost it half a processor.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from './client.ts'
import type { Contestant } from './contestants.ts'
import { type Place, startNode } from './peers.ts'
import { idleLoad, measureChange, patienceMs } from './session.ts'

/** The supervisor boots the next spare 0.3 s after a swap. */
const spareMs = 1500

/** Milliseconds from the spawn to the first answer. `place` has the app's folder, and ports that nobody listens on. */
export async function measureBareStart(client: Client, { folder, env, targets }: Place): Promise<number> {
  client.start({ ...idleLoad, targets })
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
  client.start({ ...idleLoad, targets })
  await sleep(spareMs)
  const ms = await measureChange(client, version(), change)
  await client.stop()
  return ms
}
