// For tests: releases one after the other under strict clients; no request may fail and no swap be made one at a time.
import { eventually } from '@aether/runtime/test-process'
import type { Test } from 'tap'
import { startLoad } from './test-client.ts'
import type { createWorkspace } from './test-kit.ts'

type World = Awaited<ReturnType<typeof createWorkspace>>

export const swaps = 12
const letters = ['a', 'b', 'c', 'd', 'e', 'f']

export interface Source {
  readonly server: string
  readonly manifest?: object
  readonly files?: Readonly<Record<string, string>>
}

/** Moves through the releases under load; answers the client. */
export async function swapUnderLoad(
  t: Test,
  world: World,
  url: string,
  app: (version: string) => string | Source,
  count = swaps,
) {
  const digests = letters.map((letter) => {
    const source = app(letter)
    if (typeof source === 'string') return world.release(letter, source)
    return world.release(letter, source.server, source.manifest, source.files)
  })
  const activate = async (at: number) => {
    const digest = digests[at % digests.length]
    if (digest === undefined) throw new Error('no release')
    await world.verdict(world.activate(digest), 'ok')
  }
  await activate(0)
  const load = startLoad(url)
  try {
    await eventually('the first answers', () => load.answered() > 50)
    for (let i = 1; i <= count; i++) {
      await activate(i)
      const before = load.answered()
      await eventually('more answers', () => load.answered() > before + 20)
    }
  } finally {
    await load.stop()
  }
  t.strictSame(load.failures(), [])
  t.comment(`${load.failures().length} of ${load.answered()} requests failed in ${count} swaps`)
  t.ok(load.answered() > 40 * count, `${load.answered()} answered`)
  t.equal(load.versions().length, letters.length, 'every release answered')
  t.match(await world.metrics(), `aether_swap_seconds_count{strategy="overlap",outcome="ok"} ${count + 1}`)
  t.notMatch(await world.metrics(), 'strategy="recreate"')
}
