// What keeps the folder of trees in order: at the start it is brought together with the tables, and every so often what nobody
// names goes.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '@aether/runtime/log'
import type { Part } from '@aether/runtime/parts'
import type { OwnTrees } from './domain/trees.ts'

export interface UpkeepTimes {
  /** How long an object stays that no artifact names: longer than any upload, with all its pauses. */
  readonly keepSeconds: number
  readonly everyMs: number
}

const usualTimes: UpkeepTimes = { keepSeconds: 24 * 3_600, everyMs: 600_000 }

export function createTreeUpkeep(
  trees: Pick<OwnTrees, 'recover' | 'collect'>,
  log: Pick<Log, 'warn'>,
  { keepSeconds, everyMs }: UpkeepTimes = usualTimes,
): Part {
  const over = new AbortController()
  let running = Promise.resolve()

  async function run(): Promise<void> {
    while (!over.signal.aborted) {
      await trees
        .collect(keepSeconds)
        .catch((err: unknown) => log.warn({ err }, 'objects that no tree names could not be removed; again later'))
      await sleep(everyMs, undefined, { signal: over.signal, ref: false }).catch(() => {})
    }
  }

  return {
    name: 'trees',
    async start() {
      await trees.recover()
      running = run()
    },
    async stop() {
      over.abort()
      await running
    },
  }
}
