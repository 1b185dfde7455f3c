import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync, rmSync, statfsSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { digestFromHex } from '@aether/contract/digest'
import { layoutOf, releaseName } from '@aether/contract/layout'
import { test } from 'tap'
import { readCurrent, recordPath } from './activate.ts'
import { lockVolume } from './lock.ts'
import { pruneReleases } from './prune.ts'
import { recoverVolume } from './recover.ts'
import { createWorld, reasonOf, refuses } from './test-kit.ts'
import { endMark, entry, file, packed, release } from './test-tar.ts'
import { mountVolume, needsRoot } from './test-volume.ts'

await test(
  'a volume with no bytes left refuses the release, and takes the next one that fits',
  needsRoot,
  async (t) => {
    const world = await createWorld(t, {}, mountVolume(t, 'size=1m'))
    await world.take(world.publish(release('fits')))
    const large = packed(entry({ name: 'large' }, randomBytes(3_000_000)), endMark)
    await refuses(t, world, () => world.take(world.publish(large)), 'disk_full', 'bytes', /keep fewer releases/)
    t.match(await world.take(world.publish(release('fits too'))), { activation: { id: 2 } })
  },
)

await test('a volume with no inodes left says so', needsRoot, async (t) => {
  const world = await createWorld(t, {}, mountVolume(t, 'size=8m,nr_inodes=60'))
  await world.take(world.publish(release('fits')))
  const many = packed(...Array.from({ length: 100 }, (_, i) => file(`f${i}`)), endMark)
  await refuses(t, world, () => world.take(world.publish(many)), 'disk_full', 'inodes', /inode/)
  t.match(await world.take(world.publish(release('fits too'))), { activation: { id: 2 } })
})

await test('a volume that was filled to the last byte by others keeps what it serves', needsRoot, async (t) => {
  const world = await createWorld(t, {}, mountVolume(t, 'size=1m'))
  const [old, next] = [world.publish(release('old')), world.publish(release('next'))]
  await world.take(old)
  const filler = join(world.root, 'filler')
  t.throws(() => execFileSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096'], { stdio: 'ignore' }))
  await refuses(t, world, () => world.take(next), 'disk_full', 'bytes')
  rmSync(filler)
  t.match(await world.take(next), { activation: { id: 2, previous: old.digest } })
})

await test('a floor of free bytes is kept: old releases go first, and what serves stays', needsRoot, async (t) => {
  const minFreeBytes = 4 * 1024 * 1024
  const world = await createWorld(t, { minFreeBytes, maxUnpackedBytes: 64 * 1024 * 1024 }, mountVolume(t, 'size=10m'))
  const { layout } = world
  const sized = (bytes: number) => world.publish(packed(entry({ name: 'x' }, randomBytes(bytes)), endMark))
  const [a, b, c, d] = [sized(1_600_000), sized(1_600_000), sized(1_600_000), sized(1_600_000)]
  for (const [n, target] of [a, b, c].entries()) {
    await world.take(target)
    utimesSync(recordPath(layout, target.digest), n, n) // completed in this order
  }
  const onDisk = () => readdirSync(layout.releases).toSorted()
  const names = (...targets: (typeof a)[]) => targets.map(({ digest }) => releaseName(digest)).toSorted()
  const free = () => statfsSync(world.root).bavail * statfsSync(world.root).bsize
  t.strictSame(onDisk(), names(a, b, c), 'they fit')
  await world.take(d)
  t.strictSame(onDisk(), names(b, c, d), 'the oldest went, and no more than that')
  t.ok(free() >= minFreeBytes, `${free()} bytes are free`)

  await reasonOf(world.take(sized(4_000_000)))
  t.strictSame(onDisk(), names(c, d), 'what serves and what served before is not given away')
  const large = sized(4_000_000)
  await refuses(t, world, () => world.take(large), 'disk_full', 'floor', /AETHER_MIN_FREE_BYTES/)
  t.ok(free() >= minFreeBytes)

  const filler = join(world.root, 'filler')
  execFileSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=1M', 'count=4'], { stdio: 'ignore' })
  const asked = world.asked.length
  await refuses(t, world, () => world.take(b), 'disk_full', 'floor')
  t.equal(world.asked.length, asked, 'below the floor nothing is even asked for')
  rmSync(filler)
  t.match(await world.take(b), { activation: { digest: b.digest } })
})

await test('a volume that is read-only refuses the release, the lock and the start', needsRoot, async (t) => {
  const root = mountVolume(t, 'size=1m')
  const world = await createWorld(t, {}, root)
  const [old, next] = [world.publish(release('old')), world.publish(release('next'))]
  await world.take(old)
  execFileSync('mount', ['-o', 'remount,ro', root])
  await refuses(t, world, () => world.take(next), 'read_only', 'volume', /cannot be written.*read-write/)
  await refuses(t, world, () => world.take(old), 'read_only', 'volume')
  await refuses(t, world, () => lockVolume(world.layout), 'read_only', 'volume')
  const fresh = layoutOf(join(root, 'fresh'))
  t.match(await reasonOf(recoverVolume(fresh)), { reason: 'read_only', detail: 'volume' })
  execFileSync('mount', ['-o', 'remount,rw', root])
  t.match(await world.take(next), { activation: { id: 2 } })
})

await test('a download that nobody takes is let go of', needsRoot, async (t) => {
  const root = mountVolume(t, 'size=1m')
  const world = await createWorld(t, {}, root)
  const closed = Promise.withResolvers<string>()
  world.routes.set('/endless', (_, response) => {
    response.on('close', () => closed.resolve('closed'))
    response.write(Buffer.alloc(1000))
  })
  execFileSync('mount', ['-o', 'remount,ro', root])
  const target = world.ask(digestFromHex('0'.repeat(64)), '/endless')
  t.match(await reasonOf(world.take(target)), { reason: 'read_only' })
  t.equal(await closed.promise, 'closed', 'the connection ends while the process goes on')
})

await test('pruning keeps the newest, and never what serves, served before or is in use', async (t) => {
  const world = await createWorld(t)
  const { layout } = world
  const targets = ['a', 'b', 'c', 'd', 'e', 'f'].map((text) => world.publish(release(text)))
  const [a, b, c, d, e, f] = targets.map((target) => target.digest)
  for (const [n, target] of targets.entries()) {
    await world.take(target)
    utimesSync(recordPath(layout, target.digest), n, n) // completed in this order
  }
  const names = (...digests: readonly (typeof a)[]) =>
    digests.flatMap((one) => (one === undefined ? [] : [releaseName(one)])).toSorted()
  const kept = () => readdirSync(layout.releases).toSorted()
  if (a === undefined || b === undefined) throw new Error('six digests')
  const [first, second] = targets
  if (first === undefined || second === undefined) throw new Error('six targets')

  t.strictSame(await pruneReleases(layout, 10, []), [])
  t.strictSame(await pruneReleases(layout, 4, [a]), [b, c])
  t.strictSame(kept(), names(a, d, e, f))
  t.strictSame(
    readdirSync(layout.complete).toSorted(),
    names(a, d, e, f).map((name) => `${name}.json`),
  )
  t.strictSame(readdirSync(layout.staging), [])

  await world.take(first)
  t.strictSame(await pruneReleases(layout, 2, []), [d, e], 'a serves though it is the oldest, f served before')
  t.strictSame(kept(), names(a, f))
  t.strictSame(await pruneReleases(layout, 2, []), [])
  t.equal((await world.take(second)).reused, false, 'what was pruned is fetched again')
  t.equal(await readCurrent(layout), b)
})
