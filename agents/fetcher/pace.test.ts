// The pace of the fetcher as a process, and its metrics page.

import { hexOf } from '@aether/contract/digest'
import { eventually } from '@aether/runtime/test-process'
import { test } from 'tap'
import { createWorld } from './test-kit.ts'

await test('targets that come faster than the interval wait, and the last one wins without a failure', async (t) => {
  const world = await createWorld(t, { AETHER_MIN_REFRESH_INTERVAL_MS: '1500' })
  world.annotate(world.make('one').annotations)
  const fetcher = world.start()
  await fetcher.marker(1)
  const [skipped, last] = [world.make('skipped'), world.make('last')]
  world.annotate(skipped.annotations)
  await eventually('the change to be seen', async () =>
    /patch_rate_per_minute\{app="shop"\} 2/.test(await world.metrics()),
  )
  world.annotate(last.annotations)
  t.match(await fetcher.marker(2), { kind: 'ok', digest: hexOf(last.digest), pairs: { activation: '2' } })
  t.equal(world.asked(skipped), 0)
  t.equal(fetcher.markers().length, 2)
})

await test('failures in a row are an anomaly once, and a success ends it', async (t) => {
  const world = await createWorld(t, { AETHER_ANOMALY_FAIL_THRESHOLD: '3' })
  world.annotate({})
  const fetcher = world.start()
  for (let n = 1; n <= 4; n++) {
    world.annotate({ ...world.make(`bad ${n}`).annotations, 'aether.dev/signature': '0'.repeat(128) })
    await fetcher.marker(n)
  }
  t.match(await world.metrics(), 'dev_hot_anomaly_events_total{app="shop"} 1')
  await fetcher.line('failures in a row reached the threshold')
  world.annotate(world.make('good').annotations)
  t.match(await fetcher.marker(5), { kind: 'ok' }, 'a new target is not held back')
  t.match(await world.metrics(), 'dev_hot_refresh_consecutive_failures{app="shop"} 0')
})

await test('shows stages, bytes, the release and at most five commits on its metrics page', async (t) => {
  const world = await createWorld(t)
  const one = world.make('one')
  world.annotate({ ...one.annotations, 'aether.dev/build-commit': 'commit0' })
  const fetcher = world.start()
  await fetcher.marker(1)
  let last = one
  for (let n = 1; n <= 6; n++) {
    last = world.make(`release ${n}`)
    world.annotate({ ...last.annotations, 'aether.dev/build-commit': `commit${n}` })
    await fetcher.marker(n + 1)
  }
  const metrics = await world.metrics()
  const commits = [...metrics.matchAll(/dev_hot_refresh_total\{app="shop",commit="(\w+)"\}/g)].map(
    ([, commit]) => commit,
  )
  t.same(commits, ['commit2', 'commit3', 'commit4', 'commit5', 'commit6'])
  t.same(metrics.match(/^aether_release_info\{.*$/gm), [`aether_release_info{digest="${last.digest}"} 1`])
  for (const stage of ['verify', 'fetch', 'activate'])
    t.match(metrics, `aether_refresh_stage_seconds_count{stage="${stage}"} 7`)
  t.match(metrics, /aether_artifact_bytes_total\{source="network"\} [1-9]/)
})
