// The chaos table of docs/security.md, the rows of the volume: a fetcher process on a small memory volume of its own, which is
// filled to the last byte or inode, or made read-only, under it.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hexOf } from '@aether/contract/digest'
import { listTree } from '@aether/release/test-kit'
import { mountVolume, needsRoot } from '@aether/release/test-volume'
import { testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { createWorld, type Fetcher, type Made } from './test-kit.ts'

/** A world with its data on a volume mounted so, where a first release serves. */
async function serveOn(t: Test, options: string, env: Readonly<Record<string, string>> = {}) {
  const root = testFolder(t, { data: {}, run: {}, podinfo: {} })
  mountVolume(t, options, join(root, 'data'))
  const quick = { AETHER_MIN_FREE_BYTES: '0', AETHER_ANOMALY_FAIL_THRESHOLD: '1', ...env }
  const world = await createWorld(t, quick, root)
  const first = world.make('first')
  world.annotate(first.annotations)
  const fetcher = world.start()
  t.match(await fetcher.marker(1), { kind: 'ok' })
  await fetcher.line(`REFRESH_STATE failures=0 last_digest=${hexOf(first.digest)}`)
  return { world, fetcher, first, served: listTree(world.layout.workspace) }
}

type Served = Awaited<ReturnType<typeof serveOn>>

/** The target fails so, once, and everything is as it was. */
async function refused(t: Test, { world, fetcher, served }: Served, made: Made, reason: string, detail: string) {
  const { length } = fetcher.markers()
  world.annotate(made.annotations)
  t.match(await fetcher.marker(length + 1), { kind: 'fail', reason, pairs: { detail } })
  t.same(listTree(world.layout.workspace), served, `${detail}: what serves is whole, and nothing is beside it`)
  t.same(readdirSync(world.layout.staging), [], `${detail}: staging is clean`)
  t.equal(await world.livez(), 200)
  await sleep(600)
  t.equal(fetcher.markers().length, length + 1, `${detail}: one marker, and no storm of retries`)
}

async function taken(t: Test, { world, fetcher }: { world: Served['world']; fetcher: Fetcher }, made: Made) {
  const { length } = fetcher.markers()
  world.annotate({ ...made.annotations, 'aether.dev/build-time': 'room was made' })
  t.match(await fetcher.marker(length + 1), { kind: 'ok', digest: hexOf(made.digest) })
  t.equal(await world.current(), made.digest)
}

const large = () => randomBytes(3_000_000).toString('base64')

await test('a release that does not fit is refused as disk_full, and one that fits is taken', needsRoot, async (t) => {
  const served = await serveOn(t, 'size=2m')
  const { world } = served
  await refused(t, served, world.make(large()), 'disk_full', 'bytes')
  await taken(t, served, world.make('small'))
})

await test(
  'a volume filled by others to its last byte keeps what serves, and is used again when there is room',
  needsRoot,
  async (t) => {
    const served = await serveOn(t, 'size=2m')
    const { world, fetcher } = served
    const filler = join(world.layout.root, 'filler')
    t.throws(() => execFileSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096'], { stdio: 'ignore' }))
    const next = world.make('next')
    await refused(t, served, next, 'disk_full', 'bytes')
    await fetcher.line('state.json cannot be written')
    rmSync(filler)
    await taken(t, served, next)
  },
)

await test(
  'a fetcher that starts on a full volume lives, says so, and goes on when there is room',
  needsRoot,
  async (t) => {
    const { world, fetcher, first } = await serveOn(t, 'size=2m')
    fetcher.kill('SIGKILL')
    await fetcher.exited
    const filler = join(world.layout.root, 'filler')
    t.throws(() => execFileSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096'], { stdio: 'ignore' }))
    const next = world.make('next')
    world.annotate(next.annotations)
    const again = world.start()
    t.match(await again.marker(1), { kind: 'fail', reason: 'disk_full' })
    t.equal(await world.current(), first.digest)
    rmSync(filler)
    await taken(t, { world, fetcher: again }, next)
  },
)

await test(
  'a volume without inodes says so, keeps what serves, and is used again when there are some',
  needsRoot,
  async (t) => {
    const served = await serveOn(t, 'size=8m,nr_inodes=60')
    const { world } = served
    const many = join(world.layout.root, 'many')
    mkdirSync(many)
    t.throws(() => {
      for (let n = 0; n < 100; n++) writeFileSync(join(many, String(n)), '')
    })
    const next = world.make('next')
    await refused(t, served, next, 'disk_full', 'inodes')
    rmSync(many, { recursive: true })
    await taken(t, served, next)
  },
)

await test('the floor of free bytes is left to the node', needsRoot, async (t) => {
  const floor = 4 * 1024 * 1024
  const served = await serveOn(t, 'size=7m', { AETHER_MIN_FREE_BYTES: String(floor) })
  const { world } = served
  await refused(t, served, world.make(large()), 'disk_full', 'floor')
  const { bavail, bsize } = statfsSync(world.layout.root)
  t.ok(bavail * bsize >= floor)
  await taken(t, served, world.make('small'))
})

await test(
  'a volume that turns read-only is a fault of its own, at a start too, and is used again when it can be',
  needsRoot,
  async (t) => {
    const served = await serveOn(t, 'size=8m')
    const { world, fetcher, first } = served
    const remount = (how: string) => execFileSync('mount', ['-o', `remount,${how}`, world.layout.root])
    const [next, last] = [world.make('next'), world.make('last')]
    remount('ro')
    await refused(t, served, next, 'read_only', 'volume')
    remount('rw')
    await taken(t, served, next)

    fetcher.kill('SIGKILL')
    await fetcher.exited
    remount('ro')
    const again = world.start()
    t.match(await again.marker(1), { kind: 'fail', reason: 'read_only' })
    t.equal(await world.current(), next.digest)
    remount('rw')
    await again.line('REFRESH_STATE failures=', again.lines.length)
    await taken(t, { world, fetcher: again }, last)
    t.not(first.digest, last.digest)
  },
)
