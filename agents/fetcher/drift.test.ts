// The release that serves, changed on disk behind the fetcher's back.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Digest, hexOf } from '@aether/contract/digest'
import { releasePath } from '@aether/release/activate'
import { manifestPath } from '@aether/release/record'
import { eventually } from '@aether/runtime/test-process'
import { test } from 'tap'
import { createWorld } from './test-kit.ts'

const often = { AETHER_DRIFT_INTERVAL_SEC: '1' }

function serverOf(world: Awaited<ReturnType<typeof createWorld>>, digest: Digest): string {
  return join(releasePath(world.layout, digest), 'server.js')
}

await test('drift is said with a reason of its own, and the release is fetched again and served anew', async (t) => {
  const world = await createWorld(t, { ...often, AETHER_SUPERVISED: 'true' })
  const one = world.make('one')
  const server = serverOf(world, one.digest)
  world.annotate(one.annotations)
  const fetcher = world.start()
  world.say({ activation: 1, digest: one.digest, outcome: 'ok' })
  t.match(await fetcher.marker(1), { kind: 'ok' })
  const manifest = manifestPath(world.layout, one.digest)
  await eventually('the manifest', () => existsSync(manifest))
  t.same(fetcher.markers().length, 1, 'a release that is whole is not spoken of')

  writeFileSync(server, 'eno')
  const said = await fetcher.marker(2)
  t.match(said, {
    kind: 'fail',
    reason: 'drift',
    pairs: { detail: 'changed', digest: hexOf(one.digest), failures: '1' },
  })
  t.equal(await world.current(), one.digest, 'what serves goes on serving')
  await eventually('the activation', () => world.activation().id === 2)
  t.match(world.activation(), { digest: one.digest, repaired: true })
  t.equal(readFileSync(server, 'utf8'), 'one')
  world.say({ activation: 2, digest: one.digest, outcome: 'ok' })
  t.match(await fetcher.marker(3), { kind: 'ok', pairs: { reused: 'false', activation: '2' } })
  t.equal(world.asked(one), 2)

  await eventually('the next manifest', () => existsSync(manifest))
  rmSync(server)
  t.match(await fetcher.marker(4), { kind: 'fail', pairs: { detail: 'missing' } })
  await eventually('the activation', () => world.activation().id === 3)
  world.say({ activation: 3, digest: one.digest, outcome: 'ok' })
  await fetcher.marker(5)
  const metrics = await world.metrics()
  t.match(metrics, 'aether_release_drift_total{detail="changed"} 1')
  t.match(metrics, 'aether_release_drift_total{detail="missing"} 1')
  t.match(metrics, 'aether_release_drift_total{detail="extra"} 0')
  t.match(metrics, 'dev_hot_refresh_failure_total{app="shop",reason="drift",commit=""} 2')
  t.match(metrics, 'dev_hot_refresh_consecutive_failures{app="shop"} 0')
  t.same(readdirSync(world.layout.staging), [])
})

await test('a repair that fails is tried again slower and slower, over a restart too, and a newer target ends it', async (t) => {
  const world = await createWorld(t, { ...often, AETHER_ANOMALY_FAIL_THRESHOLD: '3' })
  const [one, two] = [world.make('one'), world.make('two')]
  world.annotate(one.annotations)
  const fetcher = world.start()
  await fetcher.marker(1)
  await eventually('the manifest', () => existsSync(manifestPath(world.layout, one.digest)))
  const path = new URL(one.annotations['aether.dev/artifact-url'] ?? '').pathname
  const bytes = world.server.routes.get(path)
  world.server.routes.delete(path)
  writeFileSync(join(releasePath(world.layout, one.digest), 'more.js'), '')
  t.match(await fetcher.marker(2), { kind: 'fail', reason: 'drift', pairs: { detail: 'extra' } })
  t.match(await fetcher.marker(3), { kind: 'fail', reason: 'download', pairs: { detail: 'not_found' } })
  await fetcher.line('failures in a row reached the threshold')
  const [asked, markers] = [world.asked(one), fetcher.markers().length]
  t.equal(await world.current(), one.digest)
  t.same([asked, markers], [3, 4], 'from the threshold on once a minute')

  fetcher.kill('SIGKILL')
  await fetcher.exited
  if (bytes !== undefined) world.server.routes.set(path, bytes)
  const again = world.start()
  t.match(
    await again.marker(1),
    { kind: 'fail', reason: 'drift', pairs: { detail: 'unverified' } },
    'it is not forgotten',
  )
  t.match(await again.marker(2), { kind: 'ok', digest: hexOf(one.digest), pairs: { reused: 'false' } })
  t.same(readdirSync(releasePath(world.layout, one.digest)), ['server.js'])
  world.annotate(two.annotations)
  t.match(await again.marker(3), { kind: 'ok', digest: hexOf(two.digest) })
})

await test('the last good release is repaired by its own annotations, and what was refused stays refused', async (t) => {
  const world = await createWorld(t, { ...often, AETHER_SUPERVISED: 'true' })
  const [one, two] = [world.make('one'), world.make('two')]
  world.annotate(one.annotations)
  const fetcher = world.start()
  world.say({ activation: 1, digest: one.digest, outcome: 'ok' })
  await fetcher.marker(1)
  world.annotate(two.annotations)
  await eventually('the activation', () => world.activation().id === 2)
  world.say({ activation: 2, digest: two.digest, outcome: 'fail', reason: 'unhealthy', detail: 'exited' })
  await fetcher.marker(2)
  t.equal(await world.current(), one.digest)
  await eventually('the manifest', () => existsSync(manifestPath(world.layout, one.digest)))
  writeFileSync(serverOf(world, one.digest), 'eno')
  t.match(await fetcher.marker(3), { kind: 'fail', reason: 'drift' })
  await eventually('the repair', () => world.activation().id === 4)
  world.say({ activation: 4, digest: one.digest, outcome: 'ok' })
  t.match(await fetcher.marker(4), { kind: 'ok', digest: hexOf(one.digest) })
  t.equal(readFileSync(serverOf(world, one.digest), 'utf8'), 'one')
  await eventually(
    'state.json',
    () => JSON.parse(readFileSync(world.layout.state, 'utf8')).refused?.digest === two.digest,
  )
  t.equal(fetcher.markers().length, 4)
})
