// Strategy `recreate`: one process at a time.
//  0 the pod's turn (AETHER_SPLAY_MS)
//  1 unready: the gate closes   2 wait until the probes saw it (drain.ts)   3 drain, SIGTERM, grace, SIGKILL of the group
//  4 start the new process      5 it proves itself: it answers in time      6 ready: the gate opens (supervise.ts)
// It promises a clean end, not zero failed requests: between 3 and 5 nobody accepts. Where the socket is held here,
// connections wait in its backlog meanwhile; else they are refused.
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Gate } from './drain.ts'
import type { Retire } from './retire.ts'
import type { Starter } from './start.ts'
import type { Swap, SwapConfig } from './strategy.ts'

export function createRecreate(gate: Gate, retire: Retire, starter: Starter, config: SwapConfig): Swap {
  return async (old, activation, signal) => {
    await sleep(config.splayMs * placeOf(hostname()), undefined, { signal }) // 0
    gate.close('the app is being replaced') // 1
    // An aborted signal shortens the drain; the stop itself is always finished.
    if (old.isAlive()) await gate.drained(config.drainMaxMs, config.propagationMs, signal) // 2
    await retire(old, signal) // 3
    return {
      strategy: 'recreate',
      child: await starter.alone(activation, signal), // 4, 5
      retiring: undefined,
    }
  }
}

/** From 0 to 1, the same for a name each time; names that differ in one character lie anywhere. */
export function placeOf(pod: string): number {
  return createHash('sha256').update(pod).digest().readUInt32BE(0) / 2 ** 32
}
