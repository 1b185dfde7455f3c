// Strategy `overlap`: the new process stands beside the old one, and no request fails.
//  1 there is room for two, and the old one's socket is held here   2 the new process starts, listens, accepts nothing
//  3 it proves itself (start.ts)   4 it accepts, beside the old one   5 the old one stops accepting and drains
//  6 SIGTERM, grace, SIGKILL of its group
// Where two cannot stand beside each other, the swap is made by `recreate`, and the log says why.
import type { Log } from '@aether/runtime/log'
import type { Child } from './child.ts'
import type { HeldSockets } from './held-sockets.ts'
import { roomForAnother } from './memory.ts'
import type { Retire } from './retire.ts'
import { CannotOverlap, type Starter } from './start.ts'
import type { Swap, SwapConfig } from './strategy.ts'

export function createOverlap(
  recreate: Swap,
  retire: Retire,
  starter: Starter,
  sockets: HeldSockets,
  config: SwapConfig,
  log: Log,
): Swap {
  return async (old, activation, signal) => {
    try {
      mayOverlap(old, sockets, config) // 1
      const child = await starter.beside(activation, signal) // 2, 3, 4
      return { strategy: 'overlap', child, retiring: retire(old) } // 5, 6
    } catch (error) {
      if (!(error instanceof CannotOverlap)) throw error
      const { id, digest } = activation
      log.warn({ activation: id, digest, why: error.message }, 'no overlap for this swap: one process at a time')
      return recreate(old, activation, signal)
    }
  }
}

/** Throws CannotOverlap. */
function mayOverlap(old: Child, sockets: HeldSockets, config: SwapConfig): void {
  const { attached, unheld } = old.link.facts()
  if (!attached) throw new CannotOverlap('the app that runs is no Node process that takes the preload')
  if (unheld !== undefined) throw new CannotOverlap(unheld)
  if (config.port !== 0 && !sockets.has(config.port))
    throw new CannotOverlap(`port ${config.port} is not listened on through node:net by the app's first thread`)
  const lacking = roomForAnother(old.pid, config.cgroupDir)
  if (lacking !== undefined) throw new CannotOverlap(lacking)
}
