// Work of the same name, one after the other; of other names beside it.

export interface Turns {
  run<T>(name: string, work: () => Promise<T>): Promise<T>
  /** Resolves when what is under way has ended, however. */
  ended(): Promise<void>
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>()
  return {
    async run(name, work) {
      const before = last.get(name) ?? Promise.resolve()
      const mine = before.then(work, work)
      last.set(name, mine)
      try {
        return await mine
      } finally {
        if (last.get(name) === mine) last.delete(name)
      }
    },
    async ended() {
      await Promise.allSettled(last.values())
    },
  }
}
