// What keeps what was uploaded in order: at the start the folder of trees is brought together with the tables, and every so often
// what nobody uses or names goes.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '@aether/runtime/log'
import type { Part } from '@aether/runtime/parts'
import type { Domain } from './domain/create-services.ts'

export interface UpkeepTimes {
  /** How long an object stays that no artifact names: longer than any upload, with all its pauses. */
  readonly keepSeconds: number
  /** How long an artifact stays that was retired: until pods that were on their way to it have it. */
  readonly retiredSeconds: number
  readonly everyMs: number
}

const usualTimes: UpkeepTimes = { keepSeconds: 24 * 3_600, retiredSeconds: 3_600, everyMs: 600_000 }

export function createUpkeep(
  { trees, retain }: Pick<Domain, 'trees' | 'retain'>,
  /** 0: all. */
  keepArtifacts: number,
  log: Pick<Log, 'warn'>,
  { keepSeconds, retiredSeconds, everyMs }: UpkeepTimes = usualTimes,
): Part {
  const over = new AbortController()
  let running = Promise.resolve()

  async function run(): Promise<void> {
    while (!over.signal.aborted) {
      await retain({
        keep: keepArtifacts === 0 ? null : keepArtifacts,
        freshSeconds: keepSeconds,
        retiredSeconds,
      }).catch((err: unknown) => log.warn({ err }, 'artifacts that nobody uses could not be removed; again later'))
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
