// A whole tree by its full pack: by the index where there is a true one, else as the archive that it is.
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { encodeIndex, packIndex, parseIndex } from '@aether/artifact/index-pack'
import { hexOf } from '@aether/contract/digest'
import { layoutOf } from '@aether/contract/layout'
import { type Test, test } from 'tap'
import { releasePath } from './activate.ts'
import { recoverVolume } from './recover.ts'
import { createWorld, digestOf, listTree, reasonOf } from './test-kit.ts'
import { release } from './test-tar.ts'
import { publishTree } from './test-trees.ts'

async function createFirst(t: Test) {
  const world = await createWorld(t)
  const [app, store] = [join(t.testdirName, 'app'), join(t.testdirName, 'store')]
  for (const folder of [join(app, 'lib/deep'), join(app, 'empty'), store]) mkdirSync(folder, { recursive: true })
  for (let n = 0; n < 30; n++) writeFileSync(join(app, `lib/part-${n}`), randomBytes(70_000 + n))
  for (const n of [1, 2]) writeFileSync(join(app, `lib/large-${n}`), randomBytes(n * 1_500_000))
  writeFileSync(join(app, 'lib/deep/nothing'), '')
  writeFileSync(join(app, 'lib/\u00fcber'), 'not ASCII')
  writeFileSync(join(app, 'run.sh'), '#!/bin/sh\n')
  chmodSync(join(app, 'run.sh'), 0o755)
  symlinkSync('lib/deep', join(app, 'link'))
  const tree = await publishTree(world.routes, app, store)
  const bytesAt = (path: string) => {
    const found = world.routes.get(path)
    if (!(found instanceof Uint8Array)) throw new Error(`nothing at ${path}`)
    return Buffer.from(found)
  }
  return { ...world, app, tree, pack: bytesAt(`${tree.path}.full`), index: bytesAt(`${tree.path}.index`) }
}

await test('a first arrival has what the folder has: small files, files of several frames, empty ones, links and execute bits', async (t) => {
  const { tree, app, layout, asked, ask, take } = await createFirst(t)
  const refreshed = await take(ask(tree.digest, tree.path))
  t.match(refreshed, { source: 'full', refusedSources: [], warnings: [] })
  t.strictSame(listTree(releasePath(layout, tree.digest)), listTree(app))
  t.strictSame(asked, [tree.path, `${tree.path}.index`, `${tree.path}.full`])
})

await test('an index that lies or is not there costs its bytes: the pack is unpacked as an archive', async (t) => {
  const { tree, app, layout, routes, index, ask, take } = await createFirst(t)
  const root = hexOf(tree.digest)
  const read = await parseIndex(index, root, { maxEntries: 1000, maxIndexBytes: 1 << 24 })
  const write = (changed: Partial<typeof read>) => packIndex(encodeIndex(root, read.objects, { ...read, ...changed }))
  const [first, second, ...others] = read.frames
  if (first === undefined || second === undefined) throw new Error('two frames')
  const rows: Readonly<Record<string, Uint8Array | undefined>> = {
    'not there': undefined,
    garbage: randomBytes(500),
    'cut off': index.subarray(0, -20),
    'frames that begin elsewhere': await write({
      frames: [{ ...first, packed: first.packed + 1 }, { ...second, packed: second.packed - 1 }, ...others],
    }),
    'frames of other lengths': await write({
      frames: [{ ...first, unpacked: first.unpacked + 512 }, { ...second, unpacked: second.unpacked - 512 }, ...others],
    }),
    'a frame too few': await write({ frames: read.frames.slice(0, -2) }),
    'a frame too many': await write({ frames: [...read.frames, { packed: 100, unpacked: 512 }] }),
    'a frame without end': await write({ frames: [...read.frames, { packed: 2 ** 31, unpacked: 2 ** 31 }] }),
    'files that lie elsewhere': await write({
      headerBlocks: read.headerBlocks.map((blocks, at) => blocks + (at === 3 ? 1 : 0)),
    }),
  }
  for (const [name, bytes] of Object.entries(rows)) {
    if (bytes === undefined) routes.delete(`${tree.path}.index`)
    else routes.set(`${tree.path}.index`, bytes)
    const other = layoutOf(join(t.testdirName, 'volumes', name))
    await recoverVolume(other)
    const refreshed = await take(ask(tree.digest, tree.path), undefined, { layout: other })
    t.equal(refreshed.source, 'full', name)
    t.strictSame(refreshed.refusedSources, bytes === undefined ? [] : ['ranges'], name)
    t.strictSame(listTree(releasePath(other, tree.digest)), listTree(app), `${name}: the release is whole`)
    t.strictSame(readdirSync(other.staging), [], `${name}: nothing is left`)
  }
  t.strictSame(readdirSync(layout.releases), [])
})

await test('a pack that lies gives no release, whatever its index says', async (t) => {
  const world = await createFirst(t)
  const { tree, routes, pack, ask, take } = world
  const turned = Buffer.from(pack)
  turned[pack.length >> 1] = (turned[pack.length >> 1] ?? 0) ^ 1
  const lies = [
    turned,
    pack.subarray(0, pack.length - 40),
    pack.subarray(0, pack.length >> 1),
    Buffer.concat([pack, pack.subarray(0, 1000)]),
  ]
  const before = listTree(world.root)
  for (const [at, bytes] of lies.entries()) {
    routes.set(`${tree.path}.full`, bytes)
    const { reason } = await reasonOf(take(ask(tree.digest, tree.path)))
    t.ok(['extract', 'checksum'].includes(reason), `lie ${at}: ${reason}`)
    t.strictSame(listTree(world.root), before, `lie ${at}: nothing is left`)
  }
  routes.set(`${tree.path}.full`, pack)
  t.match(await take(ask(tree.digest, tree.path)), { source: 'full' })
})

await test('a connection that is kept and then closed by its server is opened anew', async (t) => {
  const world = await createFirst(t)
  const served = new WeakSet()
  const onceEach =
    (bytes: Buffer) =>
    ({ socket }: IncomingMessage, response: ServerResponse): void => {
      if (served.has(socket)) socket.resetAndDestroy()
      else response.end(bytes)
      served.add(socket)
    }
  for (const n of [1, 2, 3]) {
    const bytes = release(`of ${n}`)
    world.routes.set(`/${n}`, onceEach(bytes))
    t.match(await world.take(world.ask(digestOf(bytes), `/${n}`)), { source: 'archive', refusedSources: [] })
  }
})
