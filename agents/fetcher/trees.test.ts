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
import { releasePath } from '@aether/release/activate'
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

await test('the first tree comes whole, the next as what changed, and without a delta as a whole again', async (t) => {
  const world = await createTrees(t, { AETHER_KEEP_RELEASES: '2' })
  const { app, server } = world
  const one = await world.publish()
  world.ask(one)
  const fetcher = world.start()
  t.match(await fetcher.marker(1), { kind: 'ok', pairs: { source: 'full', reused: 'false' } })
  t.strictSame(server.asked, [`${one.path}?a=b`, `${one.path}.full?a=b`])
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
  t.match(await fetcher.marker(4), { pairs: { source: 'full' } }, 'nobody made a delta')
  t.strictSame(listTree(world.release(four)), listTree(app))
  t.match(await world.metrics(), 'aether_refresh_source_total{source="delta",outcome="taken"} 2')
  t.strictSame(readdirSync(world.layout.manifests), [])
})
