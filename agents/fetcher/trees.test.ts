// Trees through the whole fetcher: the whole first, then what changed, by the standby that it keeps ready.
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { annotations } from '@aether/contract/annotations'
import { releaseName } from '@aether/contract/layout'
import { recordPath, releasePath } from '@aether/release/activate'
import { listTree } from '@aether/release/test-kit'
import { plant } from '@aether/release/test-tree'
import { deltaPath, type PublishedTree, publishTree } from '@aether/release/test-trees'
import { eventually } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { createWorld } from './test-kit.ts'

async function createTrees(t: Test, env: Readonly<Record<string, string>> = {}) {
  const world = await createWorld(t, env)
  const app = join(world.root, 'app')
  const store = join(world.root, 'store')
  plant(app, true)
  rmSync(join(app, 'twin.js'))
  rmSync(join(app, 'zz-run'))
  mkdirSync(store)
  return {
    ...world,
    app,
    publish: (...from: PublishedTree[]) => publishTree(world.server.routes, app, store, from),
    ask({ digest, path }: PublishedTree): void {
      world.annotate({
        [annotations.digest]: digest,
        [annotations.artifactUrl]: `${world.server.url(path)}?a=b`,
        [annotations.signature]: world.signer.sign(digest),
      })
    },
    standby: (tree: PublishedTree) => join(world.layout.standby, releaseName(tree.digest)),
    release: (tree: PublishedTree) => releasePath(world.layout, tree.digest),
  }
}

await test('the first tree comes whole, the next as what changed, and without a delta as parts of the whole', async (t) => {
  const world = await createTrees(t, { AETHER_KEEP_RELEASES: '2' })
  const { app, server } = world
  const one = await world.publish()
  world.ask(one)
  const fetcher = world.start()
  t.match(await fetcher.marker(1), { kind: 'ok', pairs: { source: 'full', reused: 'false' } })
  t.strictSame(
    server.asked,
    [one.path, `${one.path}.index`, `${one.path}.full`].map((path) => `${path}?a=b`),
  )
  t.strictSame(listTree(world.release(one)), listTree(app))
  await eventually('the standby', () => existsSync(world.standby(one)))

  // Everything that a release can do to the one before it.
  writeFileSync(join(app, 'server.js'), 'console.log(2)\n')
  rmSync(join(app, 'bin/link'))
  writeFileSync(join(app, 'bin/link'), 'a file where a link was')
  rmSync(join(app, 'empty.txt'))
  symlinkSync('server.js', join(app, 'empty.txt'))
  rmSync(join(app, 'empty'), { recursive: true })
  writeFileSync(join(app, 'empty'), 'a file where a folder was')
  rmSync(join(app, 'names/Case'))
  mkdirSync(join(app, 'names/Case/deep/er'), { recursive: true })
  renameSync(join(app, 'large.bin'), join(app, 'names/Case/deep/moved.bin'))
  linkSync(join(app, 'names/case'), join(app, 'names/twin'))
  rmSync(join(app, 'node_modules/dep'))
  const two = await world.publish(one)
  const asked = server.asked.length
  world.ask(two)
  const delta = await fetcher.marker(2)
  t.match(delta, { kind: 'ok', pairs: { source: 'delta', reused: 'false' } })
  t.strictSame(server.asked.slice(asked), [`${deltaPath(one, two)}?a=b`], 'one request')
  t.ok(Number(delta.pairs.bytes) < 3000, `${delta.pairs.bytes} bytes for 1.3 MB that moved`)
  t.strictSame(listTree(world.release(two)), listTree(app))
  const same = (path: string) => statSync(join(world.release(one), path)).ino
  t.equal(statSync(join(world.release(two), 'names/Case/deep/moved.bin')).ino, same('large.bin'), 'moved, not copied')
  t.not(statSync(join(world.release(two), 'server.js')).ino, same('server.js'), 'never written in place')
  t.equal(readFileSync(join(world.release(one), 'server.js'), 'utf8'), 'console.log(1)\n')
  await eventually('the standby', () => existsSync(world.standby(two)))
  t.notOk(existsSync(world.standby(one)))

  writeFileSync(join(app, 'third'), '3')
  const three = await world.publish(two)
  world.ask(three)
  t.match(await fetcher.marker(3), { pairs: { source: 'delta' } })
  await eventually('the standby', () => existsSync(world.standby(three)))
  t.strictSame(listTree(world.standby(three)), listTree(app), 'made of the first release, which was pruned')
  t.notOk(existsSync(world.release(one)))

  writeFileSync(join(app, 'third'), '4')
  const four = await world.publish()
  world.ask(four)
  t.match(await fetcher.marker(4), { pairs: { source: 'ranges' } }, 'nobody made a delta')
  t.strictSame(listTree(world.release(four)), listTree(app))
  t.match(await world.metrics(), 'aether_refresh_source_total{source="delta",outcome="taken"} 2')
  t.strictSame(readdirSync(world.layout.manifests), [])
})

await test('a damaged file is found by the digest of the tree, brought again, and put right in every release that has its inode', async (t) => {
  const world = await createTrees(t, { AETHER_DRIFT_INTERVAL_SEC: '1' })
  const { app, layout } = world
  const one = await world.publish()
  world.ask(one)
  const fetcher = world.start()
  t.match(await fetcher.marker(1), { kind: 'ok', pairs: { source: 'full' } })
  await eventually('the standby', () => existsSync(world.standby(one)))
  writeFileSync(join(app, 'server.js'), 'console.log(2)\n')
  const two = await world.publish(one)
  world.ask(two)
  t.match(await fetcher.marker(2), { kind: 'ok', pairs: { source: 'delta' } })
  await eventually('the standby', () => existsSync(world.standby(two)))
  t.strictSame(readdirSync(layout.manifests), [], 'the digest is the manifest')

  const damaged = (tree: PublishedTree) => join(world.release(tree), 'names/case')
  const inode = statSync(damaged(two)).ino
  t.equal(statSync(damaged(one)).ino, inode)
  writeFileSync(damaged(two), 'LOWER')
  t.match(await fetcher.marker(3), { kind: 'fail', reason: 'drift', pairs: { detail: 'changed' } })
  t.match(await fetcher.marker(4), { kind: 'ok', pairs: { source: 'full', reused: 'false' } })
  t.match(world.activation(), { digest: two.digest, repaired: true })
  t.strictSame(listTree(world.release(two)), listTree(app))
  t.not(statSync(damaged(two)).ino, inode, 'a new inode')
  await eventually('the other release is mended', () => readFileSync(damaged(one), 'utf8') === 'lower')
  t.equal(statSync(damaged(one)).ino, statSync(damaged(two)).ino, 'the same one')
  await eventually('the standby', () => existsSync(world.standby(two)))
  t.strictSame(listTree(world.standby(two)), listTree(app))
  const record = () => JSON.parse(readFileSync(recordPath(layout, one.digest), 'utf8'))
  await eventually('it is trusted again', () => record().boot !== '')
  t.match(await world.metrics(), 'aether_release_drift_total{detail="changed"} 1')
  t.strictSame(readdirSync(layout.staging), [])

  await eventually('the objects are there', () => readdirSync(layout.trees).length === 2)
  rmSync(join(world.release(two), 'bin/run'))
  t.match(await fetcher.marker(5), { kind: 'fail', pairs: { detail: 'missing' } })
  t.match(await fetcher.marker(6), { kind: 'ok' })
  writeFileSync(join(world.release(two), 'bin/stranger'), '')
  t.match(await fetcher.marker(7), { kind: 'fail', pairs: { detail: 'extra' } })
  t.match(await fetcher.marker(8), { kind: 'ok' })
  t.strictSame(listTree(world.release(two)), listTree(app))
})

await test('after another boot a tree is held against its digest, and the next one still comes as what changed', async (t) => {
  const world = await createTrees(t)
  const { app, layout } = world
  const one = await world.publish()
  world.ask(one)
  const first = world.start()
  await first.marker(1)
  await eventually('the standby', () => existsSync(world.standby(one)))
  first.kill('SIGKILL')
  await first.exited
  const path = recordPath(layout, one.digest)
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), boot: 'of yesterday' }))
  // Written by yesterday's kernel, it may have names without files.
  writeFileSync(join(world.standby(one), 'server.js.lost'), '')

  const second = world.start()
  await eventually('the standby', () => existsSync(world.standby(one)) && readdirSync(layout.staging).length === 0)
  await eventually('it is a new one', () => !existsSync(join(world.standby(one), 'server.js.lost')))
  t.equal(await world.current(), one.digest, 'trusted, for all of it is there')
  t.equal(world.server.asked.length, 3, 'nothing was fetched for it')
  writeFileSync(join(app, 'server.js'), 'console.log(2)\n')
  const two = await world.publish(one)
  world.ask(two)
  t.match(await second.marker(1), { kind: 'ok', pairs: { source: 'delta' } })
  await eventually('the standby', () => existsSync(world.standby(two)))
  second.kill('SIGKILL')
  await second.exited

  // What the kernel lost with the power.
  writeFileSync(join(world.release(two), 'exactly-a-block'), '')
  const newer = recordPath(layout, two.digest)
  writeFileSync(newer, JSON.stringify({ ...JSON.parse(readFileSync(newer, 'utf8')), boot: 'of yesterday' }))
  const third = world.start()
  t.match(await third.marker(1), { kind: 'fail', reason: 'drift', pairs: { detail: 'changed' } })
  t.match(await third.marker(2), { kind: 'ok', pairs: { reused: 'false' } })
  t.strictSame(listTree(world.release(two)), listTree(app))
})

await test('without a standby the clone is made on the spot', async (t) => {
  const world = await createTrees(t, { AETHER_STANDBY: 'false' })
  const { app, layout } = world
  const one = await world.publish()
  world.ask(one)
  const fetcher = world.start()
  await fetcher.marker(1)
  await eventually('the objects are written', () => readdirSync(layout.trees).length === 1)
  writeFileSync(join(app, 'server.js'), 'console.log(2)\n')
  const two = await world.publish(one)
  world.ask(two)
  t.match(await fetcher.marker(2), { kind: 'ok', pairs: { source: 'delta' } })
  t.strictSame(listTree(world.release(two)), listTree(app))
  await eventually('the objects are written', () => readdirSync(layout.trees).length === 2)
  t.strictSame([readdirSync(layout.standby), readdirSync(layout.staging)], [[], []])
})
