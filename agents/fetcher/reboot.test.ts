// What a start finds that another boot left, or a repair that was killed; and the manifest, made where nobody waits for it.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Digest, hexOf } from '@aether/contract/digest'
import { releaseName } from '@aether/contract/layout'
import { recordPath, releasePath } from '@aether/release/activate'
import { amendRecord, distrust, manifestPath, readRecord } from '@aether/release/record'
import { listTree } from '@aether/release/test-kit'
import { killEnv } from '@aether/runtime/test-kill'
import { eventually } from '@aether/runtime/test-process'
import { test } from 'tap'
import { createWorld } from './test-kit.ts'

function serverOf(world: Awaited<ReturnType<typeof createWorld>>, digest: Digest): string {
  return join(releasePath(world.layout, digest), 'server.js')
}

await test('kill -9 at any step of a repair: current is absent meanwhile, and the next start finishes it', async (t) => {
  const world = await createWorld(t)
  const { layout } = world
  const one = world.make('one')
  world.annotate(one.annotations)
  const first = world.start()
  await first.marker(1)
  first.kill('SIGTERM')
  await first.exited
  const name = releaseName(one.digest)
  const whole = [`server.js - ${createHash('sha256').update('one').digest('hex')}`]
  // When it dies; whether `current` is there then, and whether the tree is right.
  const moments = [
    ['before', 'unlink workspace/current', true, false],
    ['before', `/server.js -> workspace/releases/${name}/server.js`, false, false],
    ['after', `/server.js -> workspace/releases/${name}/server.js`, false, false],
    ['after', `rename workspace/releases/${name}/more.js -> staging/away-`, false, true],
    ['before', `-> complete/${name}.json`, false, true],
    ['after', `-> complete/${name}.json`, false, true],
    ['before', '-> workspace/current', false, true],
    ['after', '-> workspace/current', true, true],
  ] as const
  for (const [mode, like, isThere, isRight] of moments) {
    await distrust(layout, one.digest)
    writeFileSync(serverOf(world, one.digest), 'eno')
    writeFileSync(join(releasePath(layout, one.digest), 'more.js'), '')
    const log = join(world.root, 'calls')
    writeFileSync(log, '')
    const dying = world.start(killEnv({ below: layout.root, log, like, at: 1, mode }))
    t.equal(await dying.exited, 'SIGKILL', `${mode} ${like}`)
    const isWhole = () => JSON.stringify(listTree(releasePath(layout, one.digest))) === JSON.stringify(whole)
    t.equal(await world.current(), isThere ? one.digest : null, `${mode} ${like}: current`)
    t.equal(isWhole(), isRight, `${mode} ${like}: the tree`)

    const again = world.start()
    await again.line(`REFRESH_STATE failures=0 last_digest=${hexOf(one.digest)}`)
    await eventually('it to be whole', async () => isWhole() && (await world.current()) === one.digest)
    again.kill('SIGTERM')
    t.equal(await again.exited, 0)
    t.equal(again.markers().filter(({ kind }) => kind === 'ok').length, 1, `${mode} ${like}: it says so once`)
    t.same(readdirSync(layout.staging), [])
  }
})

await test('kill -9 between a repair and its activation: the process that ran the wrong files is replaced all the same', async (t) => {
  const world = await createWorld(t, { AETHER_DRIFT_INTERVAL_SEC: '1' })
  const { layout } = world
  const one = world.make('one')
  world.annotate(one.annotations)
  const first = world.start()
  await first.marker(1)
  await first.line(`REFRESH_STATE failures=0 last_digest=${hexOf(one.digest)}`)
  first.kill('SIGKILL')
  await first.exited
  // The record is written with its manifest, when it is trusted no longer, and when the release is right again.
  const log = join(world.root, 'calls')
  writeFileSync(log, '')
  const like = `-> complete/${releaseName(one.digest)}.json`
  const dying = world.start(killEnv({ below: layout.root, log, like, at: 3, mode: 'after' }))
  await eventually('the manifest', () => existsSync(manifestPath(layout, one.digest)))
  writeFileSync(serverOf(world, one.digest), 'eno')
  t.equal(await dying.exited, 'SIGKILL')
  t.match(dying.markers(), [{ kind: 'fail', reason: 'drift' }])
  t.equal(await world.current(), one.digest, 'current stays through a repair under a running app')
  t.equal(readFileSync(serverOf(world, one.digest), 'utf8'), 'one')
  t.match(world.activation(), { id: 1 })

  const again = world.start()
  t.match(await again.marker(1), { kind: 'ok', pairs: { activation: '2', reused: 'true' } })
  t.match(world.activation(), { digest: one.digest, repaired: true })
  await again.line(`REFRESH_STATE failures=0 last_digest=${hexOf(one.digest)}`)
  world.annotate({ ...one.annotations, 'aether.dev/build-time': 'later' })
  const two = world.make('two')
  world.annotate(two.annotations)
  t.match(await again.marker(2), { kind: 'ok', digest: hexOf(two.digest), pairs: { activation: '3' } }, 'once')
})

await test('after a reboot the fetcher verifies what serves, once, and takes away what it cannot vouch for', async (t) => {
  const world = await createWorld(t)
  const { layout } = world
  const one = world.make('one')
  world.annotate(one.annotations)
  const first = world.start()
  await first.marker(1)
  await eventually('the manifest', () => existsSync(manifestPath(layout, one.digest)))
  async function end(fetcher: typeof first) {
    fetcher.kill('SIGTERM')
    t.equal(await fetcher.exited, 0)
    const record = await readRecord(layout, one.digest)
    if (record === undefined) throw new Error('no record')
    return record
  }
  const { boot } = await end(first)
  t.equal(boot, readFileSync(layout.bootId, 'utf8').trim())

  await amendRecord(layout, { ...(await end(await quiet())), boot: 'another boot' })
  const record = await end(await quiet())
  t.equal(record.boot, boot, 'the record is of this boot again')
  t.equal(world.asked(one), 1, 'and nothing was downloaded')
  const { ino } = statSync(recordPath(layout, one.digest))
  await end(await quiet())
  t.equal(statSync(recordPath(layout, one.digest)).ino, ino, 'a start within the boot writes no record')

  await amendRecord(layout, { ...record, boot: 'another boot' })
  writeFileSync(serverOf(world, one.digest), '\0\0\0')
  const last = world.start()
  t.match(await last.marker(1), { kind: 'fail', reason: 'drift', pairs: { detail: 'changed' } })
  t.match(await last.marker(2), { kind: 'ok', digest: hexOf(one.digest), pairs: { reused: 'false', activation: '2' } })
  t.equal(readFileSync(serverOf(world, one.digest), 'utf8'), 'one')

  /** A start where there is nothing to say. */
  async function quiet() {
    const fetcher = world.start()
    await fetcher.line('REFRESH_STATE failures=0')
    t.same(fetcher.markers(), [])
    return fetcher
  }
})

await test('a newer target does not wait for the manifest of the one before, and pruning takes manifests along', async (t) => {
  const world = await createWorld(t, { AETHER_KEEP_RELEASES: '2', AETHER_DRIFT_MAX_BYTES_PER_SEC: '1024' })
  const [one, two, three] = [world.make('one'), world.make('two'), world.make('three')]
  world.annotate(one.annotations)
  // At this rate the manifest of a file takes eight seconds; it is begun one after the outcome.
  const fetcher = world.start()
  await fetcher.marker(1)
  const temporary = () => readdirSync(world.layout.manifests).some((name) => name.endsWith('.tmp'))
  await eventually('the manifest to begin', temporary)
  world.annotate(two.annotations)
  t.match(await fetcher.marker(2), { kind: 'ok', digest: hexOf(two.digest) })
  await eventually('the half to go', () => readdirSync(world.layout.manifests).length === 0)
  fetcher.kill('SIGTERM')
  await fetcher.exited

  const fast = world.start({ AETHER_DRIFT_MAX_BYTES_PER_SEC: '1000000' })
  await eventually('a manifest', () => existsSync(manifestPath(world.layout, two.digest)))
  world.annotate(three.annotations)
  await fast.marker(1)
  await eventually('the next manifest', () => existsSync(manifestPath(world.layout, three.digest)))
  world.annotate(one.annotations)
  await fast.marker(2)
  await eventually('the prune', () => !existsSync(manifestPath(world.layout, two.digest)))
  t.notOk(readdirSync(world.layout.releases).includes(releaseName(two.digest)))
})
