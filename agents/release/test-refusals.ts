// For tests: artifacts that are to be refused, each by its rule, and a good one after them.
import type { Detail } from '@aether/contract/reasons'
import type { Test } from 'tap'
import { createWorld, type limits, refuses } from './test-kit.ts'
import { release } from './test-tar.ts'

type Row = readonly [Detail<'extract'>, Uint8Array, RegExp?]

export async function refusesAll(t: Test, rows: Readonly<Record<string, Row>>, changes: Partial<typeof limits> = {}) {
  const world = await createWorld(t, changes)
  await world.take(world.publish(release('the one that serves')))
  for (const [name, [detail, bytes, says]] of Object.entries(rows))
    await t.test(name, (each) => refuses(each, world, () => world.take(world.publish(bytes)), 'extract', detail, says))
  await t.test('and a good one is taken after all of them', async (last) => {
    last.match(await world.take(world.publish(release('good'))), { activation: { id: 2 } })
  })
}
