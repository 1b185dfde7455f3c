// The processes that gave way and have not ended yet.
import type { Digest } from '@aether/contract/digest'
import type { Child } from './child.ts'

export interface Retirees {
  /** `ended` resolves when nothing of the process is left; `onEnd` is told then, and whether it was the last of them. */
  add(old: Child, ended: Promise<void>, onEnd: (isLast: boolean) => void): void
  digests(): readonly Digest[]
  allEnded(): Promise<void>
}

export function createRetirees(): Retirees {
  const retiring = new Map<Child, Promise<void>>()
  return {
    add(old, ended, onEnd) {
      retiring.set(
        old,
        ended.finally(() => {
          retiring.delete(old)
          onEnd(retiring.size === 0)
        }),
      )
    },
    digests: () => [...retiring.keys()].filter((one) => one.isAlive()).map((one) => one.activation.digest),
    async allEnded() {
      await Promise.all(retiring.values())
    },
  }
}
