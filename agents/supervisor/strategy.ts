// What a strategy promises: the running process gives way to one of another release.
import type { Activation } from '@aether/contract/activation'
import type { Child } from './child.ts'
import type { SupervisorConfig } from './config.ts'
import type { StartConfig } from './start.ts'

export const strategies = ['overlap', 'recreate'] as const
export type Strategy = (typeof strategies)[number]

export type SwapConfig = StartConfig &
  Pick<SupervisorConfig, 'drainMaxMs' | 'propagationMs' | 'drainLimitMs' | 'cgroupDir' | 'splayMs'>

export interface Swapped {
  /** Which one it came to be. */
  readonly strategy: Strategy
  readonly child: Child
  /** Resolves when the process before it has ended; undefined where it has. */
  readonly retiring: Promise<void> | undefined
}

/**
 * Throws ReasonError `unhealthy`, or what `signal` aborts with; then the new process is gone, and whether the old one still
 * serves is to be seen from it.
 */
export type Swap = (old: Child, activation: Activation, signal: AbortSignal) => Promise<Swapped>
