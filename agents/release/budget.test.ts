import { readdirSync, utimesSync } from 'node:fs'
import type { Digest } from '@aether/contract/digest'
import { releaseName } from '@aether/contract/layout'
import { test } from 'tap'
import { recordPath } from './activate.ts'
import { createWorld, reasonOf, refuses, type World } from './test-kit.ts'
import { endMark, file, packed } from './test-tar.ts'

/** A release of so many bytes in four files, packed to a few hundred. */
function sized(name: string, bytes: number): Buffer {
  const part = (n: number) => file(`${n}.js`, name.padEnd(bytes / 4, 'x'))
  return packed(part(1), part(2), part(3), part(4), endMark)
}

async function takeAll({ publish, take, layout }: World, names: readonly string[], bytes: number) {
  const digests: Digest[] = []
  for (const [n, name] of names.entries()) {
    const target = publish(sized(name, bytes))
    await take(target)
    utimesSync(recordPath(layout, target.digest), n, n) // completed in this order
    digests.push(target.digest)
  }
  return digests
}

const namesOf = (...digests: readonly (Digest | undefined)[]) =>
  digests.flatMap((digest) => (digest === undefined ? [] : [releaseName(digest)])).toSorted()

await test('a release that exceeds the budget pushes out the oldest ones, and no more than it needs', async (t) => {
  const world = await createWorld(t, { maxWorkspaceBytes: 20_000 })
  const { layout, publish, take } = world
  const [, b, c, d] = await takeAll(world, ['a', 'b', 'c', 'd'], 4000)
  const e = publish(sized('e', 8000))
  await take(e)
  t.strictSame(
    readdirSync(layout.releases).toSorted(),
    namesOf(b, c, d, e.digest),
    'a went, the least recently completed',
  )
  t.strictSame(readdirSync(layout.complete).length, 4)
  t.strictSame(readdirSync(layout.staging), [])
})

await test('what serves, what served before and what is in use stays, and a release too large is refused', async (t) => {
  const world = await createWorld(t, { maxWorkspaceBytes: 20_000 })
  const { layout, publish, take } = world
  const [a, , c, d] = await takeAll(world, ['a', 'b', 'c', 'd'], 4000)
  if (a === undefined) throw new Error('four digests')
  const inUse = async () => [a]
  const large = publish(sized('large', 12_000))
  t.match(await reasonOf(take(large, undefined, { inUse })), {
    reason: 'disk_full',
    detail: 'budget',
    message:
      /9000 bytes or more, and beside the 12000 bytes .* the 20000 bytes of AETHER_WORKSPACE_MAX_BYTES: raise it/,
  })
  t.strictSame(readdirSync(layout.releases).toSorted(), namesOf(a, c, d), 'b alone was not needed')
  t.strictSame([readdirSync(layout.staging), readdirSync(layout.complete).length], [[], 3])

  const huge = publish(sized('huge', 80_000))
  await refuses(t, world, () => take(huge), 'disk_full', 'budget', /20000 bytes or more/)
  t.strictSame(readdirSync(layout.releases).toSorted(), namesOf(a, c, d), 'a file that cannot fit pushes out nothing')
  await take(large)
  t.strictSame(readdirSync(layout.releases).toSorted(), namesOf(c, d, large.digest))
})

await test('a budget of 0 is none', async (t) => {
  const world = await createWorld(t, { maxWorkspaceBytes: 0 })
  await takeAll(world, ['a', 'b', 'c', 'd', 'e'], 400_000)
  t.equal(readdirSync(world.layout.releases).length, 5)
})
