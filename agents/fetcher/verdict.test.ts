// The fetcher as a process beside a supervisor, which the test speaks for; e2e runs the real one beside it.

import { execFileSync } from 'node:child_process'
import { readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hexOf } from '@aether/contract/digest'
import { releaseName } from '@aether/contract/layout'
import { eventually } from '@aether/runtime/test-process'
import { test } from 'tap'
import { loadState } from './state.ts'
import { createWorld, type Made } from './test-kit.ts'

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
    output: 'TypeError: no database',
  })
  t.match(await fetcher.marker(2), { kind: 'fail', reason: 'unhealthy', pairs: { detail: 'exited' } })
  const remembered = async () => (await loadState(world.layout.state)).state
  await eventually('why it is refused, in state.json', async () => (await remembered()).failed !== null)
  t.strictSame((await remembered()).failed, {
    digest: two.digest,
    reason: 'unhealthy',
    detail: 'exited',
    message: 'exit code 1',
    output: 'TypeError: no database',
  })
  t.match(world.activation(), { id: 3, digest: one.digest, previous: two.digest })
  t.equal(await world.current(), one.digest)

  fetcher.kill('SIGTERM')
  t.equal(await fetcher.exited, 0)
  const again = world.start()
  await again.line('tried again when its annotations are written again')
  t.equal(await world.current(), one.digest, 'a restart does not try it again')
  world.annotate(one.annotations)
  await eventually('what serves, asked for again', async () => (await remembered()).refused?.key === '')
  world.annotate(two.annotations)
  await eventually('another try, by the annotations of before', () => world.activation().id === 4)
  world.say({ activation: 4, digest: two.digest, outcome: 'fail', reason: 'unhealthy', detail: 'exited', message: '1' })
  t.match(await again.marker(1), { kind: 'fail', reason: 'unhealthy' })
  t.match(world.activation(), { id: 5, digest: one.digest, previous: two.digest })
  world.annotate({ ...two.annotations, 'aether.dev/build-time': 'now' })
  await eventually('the next try', () => world.activation().id === 6)
  world.say({ activation: 6, digest: two.digest, outcome: 'ok' })
  t.match(await again.marker(2), { kind: 'ok', digest: hexOf(two.digest) })
  await eventually('that to be forgotten', async () => (await remembered()).failed === null)
})

await test('a release that a process may still read is not pruned, however old, until the supervisor says so', async (t) => {
  const world = await createWorld(t, { AETHER_SUPERVISED: 'true', AETHER_KEEP_RELEASES: '2' })
  const [one, two, three, four, five] = ['one', 'two', 'three', 'four', 'five'].map((text) => world.make(text))
  if (!one || !two || !three || !four || !five) throw new Error('five releases')
  const isThere = ({ digest }: Made) => readdirSync(world.layout.releases).includes(releaseName(digest))
  const fetcher = world.start()
  let id = 0
  async function serve(made: Made, inUse: readonly Made[]) {
    world.annotate(made.annotations)
    await eventually('the activation', () => world.activation().id === id + 1)
    const { digest } = made
    world.say({ activation: ++id, digest, outcome: 'ok', inUse: inUse.map((used) => used.digest) })
    t.match(await fetcher.marker(id), { kind: 'ok' })
  }
  for (const made of [one, two, three, four]) await serve(made, [one, made])
  await eventually('the prune', () => !isThere(two))
  t.ok(isThere(one), 'the oldest of all is in use')
  await serve(five, [five])
  await eventually('its prune', () => !isThere(one))
})

await test('a release that served and is refused after all is taken back, also by a fetcher that was started since', async (t) => {
  const world = await createWorld(t, { AETHER_SUPERVISED: 'true' })
  const [one, two] = [world.make('one'), world.make('two')]
  world.annotate(one.annotations)
  const fetcher = world.start()
  world.say({ activation: 1, digest: one.digest, outcome: 'ok' })
  await fetcher.marker(1)
  const fail = {
    digest: one.digest,
    outcome: 'fail',
    reason: 'unhealthy',
    detail: 'crashed',
    message: 'again',
  } as const
  const begin = async (annotations: Record<string, string>, id: number, by: typeof fetcher, marker: number) => {
    world.annotate(annotations)
    await eventually('the activation', () => world.activation().id === id)
    world.say({ activation: id, digest: two.digest, outcome: 'ok' })
    t.match(await by.marker(marker), { kind: 'ok', digest: hexOf(two.digest) })
  }
  await begin(two.annotations, 2, fetcher, 2)
  world.say({ activation: 2, ...fail })
  t.match(await fetcher.marker(3), { kind: 'fail', reason: 'unhealthy', pairs: { detail: 'crashed' } })
  t.match(world.activation(), { id: 3, digest: one.digest, previous: two.digest })
  world.say({ activation: 3, digest: one.digest, outcome: 'ok' })
  await fetcher.line('tried again when its annotations are written again')

  await begin({ ...two.annotations, 'aether.dev/build-time': 'now' }, 4, fetcher, 4)
  fetcher.kill('SIGTERM')
  await fetcher.exited
  const again = world.start()
  await again.line('REFRESH_STATE')
  world.say({ activation: 4, ...fail })
  t.match(await again.marker(1), { kind: 'fail', reason: 'unhealthy', pairs: { detail: 'crashed' } })
  t.match(world.activation(), { id: 5, digest: one.digest })
  t.equal(await world.current(), one.digest)
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
