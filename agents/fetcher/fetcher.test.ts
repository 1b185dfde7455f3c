// The fetcher as a process in mode `file`, with a real artifact server, keys and volume.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
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
  const path = `/${hexOf(slow.digest).slice(0, 8)}.tar.gz`
  world.server.routes.set(path, (_request, response) => {
    response.writeHead(200, { 'content-length': 1000 }).write('x')
  })
  world.annotate(slow.annotations)
  const fetcher = world.start()
  await eventually('the download to begin', () => world.server.asked.includes(path))
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

await test('supervised, OK waits for the verdict', async (t) => {
  const world = await createWorld(t, { AETHER_SUPERVISED: 'true' })
  const one = world.make('one')
  world.annotate(one.annotations)
  const fetcher = world.start()
  await eventually('the activation', async () => (await world.current()) === one.digest)
  world.say({ activation: 1, digest: one.digest, outcome: 'pending' })
  await sleep(300)
  t.same(fetcher.markers(), [])
  world.say({ activation: 1, digest: one.digest, outcome: 'ok' })
  t.match(await fetcher.marker(1), { kind: 'ok', digest: hexOf(one.digest) })
})

await test('a release that does not come up is taken back, and waits for new annotations', async (t) => {
  const world = await createWorld(t, { AETHER_SUPERVISED: 'true' })
  const [one, two] = [world.make('one'), world.make('two')]
  world.annotate(one.annotations)
  const fetcher = world.start()
  world.say({ activation: 1, digest: one.digest, outcome: 'ok' })
  await fetcher.marker(1)
  world.annotate(two.annotations)
  await eventually('the activation', () => world.activation().id === 2)
  world.say({
    activation: 2,
    digest: two.digest,
    outcome: 'fail',
    reason: 'unhealthy',
    detail: 'exited',
    message: 'exit code 1',
  })
  t.match(await fetcher.marker(2), { kind: 'fail', reason: 'unhealthy', pairs: { detail: 'exited' } })
  t.match(world.activation(), { id: 3, digest: one.digest, previous: two.digest })
  t.equal(await world.current(), one.digest)

  fetcher.kill('SIGTERM')
  t.equal(await fetcher.exited, 0)
  const again = world.start()
  await again.line('tried again when its annotations are written again')
  t.equal(await world.current(), one.digest, 'a restart does not try it again')
  world.annotate({ ...two.annotations, 'aether.dev/build-time': 'now' })
  await eventually('the next try', () => world.activation().id === 4)
  world.say({ activation: 4, digest: two.digest, outcome: 'ok' })
  t.match(await again.marker(1), { kind: 'ok', digest: hexOf(two.digest) })
})

await test('a supervisor.json made to hurt is not believed and hurts nothing', async (t) => {
  const world = await createWorld(t, { AETHER_SUPERVISED: 'true', AETHER_VERDICT_TIMEOUT_MS: '1000' })
  const path = join(world.root, 'run', 'supervisor.json')
  const one = world.make('one')
  world.annotate(one.annotations)
  execFileSync('mkfifo', [path])
  const fetcher = world.start()
  await eventually('the activation', async () => (await world.current()) === one.digest)
  const verdict = `{"activation":1,"digest":"${one.digest}","outcome":"ok"}`
  writeFileSync(join(world.root, 'elsewhere'), verdict)
  for (const [name, place] of [
    ['a link', () => symlinkSync(join(world.root, 'elsewhere'), path)],
    ['a folder', () => execFileSync('mkdir', [path])],
    ['too much', () => writeFileSync(path, 'x'.repeat(10_000_000))],
    ['another shape', () => writeFileSync(path, verdict)],
  ] as const) {
    execFileSync('rm', ['-rf', path])
    place()
    await sleep(300)
    t.same(fetcher.markers(), [], name)
    t.equal(await world.livez(), 200, name)
  }
  execFileSync('rm', ['-rf', path])
  world.say({ activation: 0, outcome: 'pending' })
  t.match(
    await fetcher.marker(1),
    { kind: 'fail', reason: 'timeout' },
    'a supervisor that is there and says nothing is too late at last',
  )
  t.equal(await world.current(), one.digest)
})

await test('SIGTERM in the middle of a download ends it without a trace', async (t) => {
  const world = await createWorld(t)
  const slow = world.make('slow')
  const path = `/${hexOf(slow.digest).slice(0, 8)}.tar.gz`
  world.server.routes.set(path, (_request, response) => {
    response.writeHead(200, { 'content-length': 1000 }).write('x')
  })
  world.annotate(slow.annotations)
  const fetcher = world.start()
  await eventually('the download to begin', () => world.server.asked.includes(path))
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
