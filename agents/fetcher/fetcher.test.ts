// The fetcher as a process in mode `file`, with a real artifact server, keys and volume.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hexOf } from '@aether/contract/digest'
import { eventually } from '@aether/runtime/test-process'
import { test } from 'tap'
import { createWorld } from './test-kit.ts'

await test('follows the annotations from release to release, and downloads nothing for what it has', async (t) => {
  const world = await createWorld(t)
  const [one, two] = [world.make('one', { 'aether.dev/build-commit': 'abc1234' }), world.make('two')]
  world.annotate(one.annotations)
  const fetcher = world.start()
  t.match(await fetcher.marker(1), {
    kind: 'ok',
    app: 'shop',
    digest: hexOf(one.digest),
    pairs: { reused: 'false', activation: '1' },
  })
  t.equal(await world.current(), one.digest)
  t.equal(readFileSync(join(world.layout.workspace, 'current', 'server.js'), 'utf8'), 'one')

  world.annotate(two.annotations)
  t.match(await fetcher.marker(2), { kind: 'ok', digest: hexOf(two.digest) })
  t.match(world.activation(), { id: 2, digest: two.digest, previous: one.digest })

  world.annotate({ ...two.annotations, 'aether.dev/build-time': 'later' })
  world.annotate(one.annotations)
  t.match(await fetcher.marker(3), {
    kind: 'ok',
    digest: hexOf(one.digest),
    pairs: { reused: 'true', bytes: '0', activation: '3' },
  })
  t.same([world.asked(one), world.asked(two)], [1, 1], 'each was asked for once')
  await fetcher.line(`REFRESH_STATE failures=0 last_digest=${hexOf(one.digest)}`)

  const metrics = await world.metrics()
  t.match(metrics, 'dev_hot_refresh_total{app="shop",commit="abc1234"} 2')
  t.match(metrics, 'dev_hot_refresh_total{app="shop",commit=""} 1')
  t.match(metrics, 'dev_hot_refresh_latency_seconds_count{app="shop"} 3')
  t.match(metrics, 'dev_hot_refresh_consecutive_failures{app="shop"} 0')
  t.match(metrics, 'dev_hot_signature_fail_total{app="shop"} 0')
})

await test('each refusal names its reason, counts once, and leaves the release and the disk as they were', async (t) => {
  const world = await createWorld(t)
  const one = world.make('one')
  world.annotate(one.annotations)
  const fetcher = world.start()
  await fetcher.marker(1)
  const two = world.make('two')
  const wrongBytes = { ...two.annotations, 'aether.dev/artifact-url': one.annotations['aether.dev/artifact-url'] ?? '' }
  const cases = [
    ['signature', 'invalid', { ...two.annotations, 'aether.dev/signature': '0'.repeat(128) }],
    [
      'signature',
      'stale',
      { ...two.annotations, 'aether.dev/signature': one.annotations['aether.dev/signature'] ?? '' },
    ],
    ['checksum', 'stale', wrongBytes],
    ['target', 'digest_malformed', { ...two.annotations, 'aether.dev/digest': 'sha256:ABC' }],
    [
      'target',
      'url_credentials',
      { ...two.annotations, 'aether.dev/artifact-url': 'https://me:secret@example.test/a' },
    ],
  ] as const
  for (const [at, [reason, detail, annotations]] of cases.entries()) {
    world.annotate(annotations)
    const marker = await fetcher.marker(at + 2)
    t.match(marker, { kind: 'fail', reason, pairs: { detail, failures: String(at + 1) } })
    t.equal(await world.current(), one.digest)
    t.same(readdirSync(world.layout.staging), [])
  }
  const metrics = await world.metrics()
  t.match(metrics, 'dev_hot_refresh_failure_total{app="shop",reason="signature",commit=""} 2')
  t.match(metrics, 'dev_hot_signature_fail_total{app="shop"} 2')
  t.match(metrics, 'dev_hot_refresh_consecutive_failures{app="shop"} 5')
  t.notMatch(fetcher.lines.join('\n'), 'secret')

  world.annotate(two.annotations)
  t.match(await fetcher.marker(cases.length + 2), { kind: 'ok', digest: hexOf(two.digest) })
  t.match(await world.metrics(), 'dev_hot_refresh_consecutive_failures{app="shop"} 0')
})

await test('an artifact that is published after its annotation is fetched by a retry', async (t) => {
  const world = await createWorld(t)
  const one = world.make('one')
  const [[path, bytes] = ['', Buffer.alloc(0)]] = [...world.server.routes]
  world.server.routes.clear()
  world.annotate(one.annotations)
  const fetcher = world.start()
  t.match(await fetcher.marker(1), { kind: 'fail', reason: 'download', pairs: { detail: 'not_found' } })
  world.server.routes.set(path, bytes)
  await eventually('the retry', () => fetcher.markers().some((marker) => marker.kind === 'ok'))
  t.equal(await world.current(), one.digest)
})

await test('a newer target ends the one under way, without a failure', async (t) => {
  const world = await createWorld(t)
  const [slow, next] = [world.make('slow'), world.make('next')]
  const begun = world.hang(slow)
  world.annotate(slow.annotations)
  const fetcher = world.start()
  await begun
  world.annotate(next.annotations)
  t.match(await fetcher.marker(1), { kind: 'ok', digest: hexOf(next.digest) })
  t.same(readdirSync(world.layout.staging), [])
})

await test('says OK once per activation over restarts, and keeps the count of failures', async (t) => {
  const world = await createWorld(t)
  const one = world.make('one')
  world.annotate(one.annotations)
  const first = world.start()
  await first.marker(1)
  world.annotate({ ...world.make('two').annotations, 'aether.dev/signature': '0'.repeat(128) })
  await first.marker(2)
  await first.line(`REFRESH_STATE failures=1 last_digest=${hexOf(one.digest)}`)
  first.kill('SIGKILL')
  await first.exited
  world.annotate(one.annotations)
  const second = world.start()
  t.match(await second.line('REFRESH_STATE'), `REFRESH_STATE failures=1 last_digest=${hexOf(one.digest)}`)
  await eventually('the metrics', async () => (await world.metrics()).includes('consecutive_failures{app="shop"} 1'))
  const three = world.make('three')
  world.annotate(three.annotations)
  t.match(await second.marker(1), { kind: 'ok', digest: hexOf(three.digest), pairs: { activation: '2' } })
  t.equal(world.asked(one), 1)
})

await test('a restart after an activation that was not reported yet reports it', async (t) => {
  const world = await createWorld(t)
  const one = world.make('one')
  world.annotate(one.annotations)
  const first = world.start()
  await first.marker(1)
  await first.line(`REFRESH_STATE failures=0 last_digest=${hexOf(one.digest)}`)
  first.kill('SIGKILL')
  await first.exited
  writeFileSync(world.layout.state, 'not what it was')
  const second = world.start()
  await second.line('state.json cannot be read')
  t.match(await second.marker(1), { kind: 'ok', digest: hexOf(one.digest), pairs: { reused: 'true', activation: '1' } })
})

await test('SIGTERM in the middle of a download ends it without a trace', async (t) => {
  const world = await createWorld(t)
  const slow = world.make('slow')
  const begun = world.hang(slow)
  world.annotate(slow.annotations)
  const fetcher = world.start()
  await begun
  fetcher.kill('SIGTERM')
  t.equal(await fetcher.exited, 0)
  t.same(fetcher.markers(), [])
  t.same(readdirSync(world.layout.staging), [])
  t.equal(await world.current(), null)
})

await test('without annotations it waits, and a second fetcher on the same volume is told so', async (t) => {
  const world = await createWorld(t)
  world.annotate({})
  const fetcher = world.start()
  await fetcher.line('REFRESH_STATE failures=0 last_digest=')
  const second = world.start({ AETHER_HEALTH_PORT: '0' })
  t.match(await second.marker(1), { kind: 'fail', reason: 'busy' })
  fetcher.kill('SIGKILL')
  await second.line('REFRESH_STATE failures=0', second.lines.length)
})
