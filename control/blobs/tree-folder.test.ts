// The folder of trees: packs that grow, what is made and goes again, and what a crash leaves.
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { createFolderTrees } from './tree-folder.ts'

async function open(t: Test, maxMadeBytes = 1_000_000) {
  const root = join(testFolder(t), 'trees')
  const trees = createFolderTrees(root, maxMadeBytes)
  await trees.recover([])
  return { root, trees }
}

await test('a pack is read while it grows, is cut to what counts, and goes where nothing does', async (t) => {
  const { root, trees } = await open(t)
  const ref = { app: 'shop', id: randomUUID() }
  const writer = await trees.createPack(ref)
  await writer.append([Buffer.from('one'), Buffer.from('two')])
  await writer.sync()
  const reader = trees.openPacks('shop')
  t.equal(String(await reader.read(ref.id, 3, 3, 100)), 'two')
  await t.rejects(reader.read(ref.id, 3, 4, 100), { code: 'unknown_artifact' })
  await writer.append([Buffer.from('half of som')])
  await writer.close(6)
  t.equal(statSync(join(root, 'packs/shop', ref.id)).size, 6)
  t.equal(statSync(join(root, 'packs/shop', ref.id)).mode & 0o777, 0o600)
  t.equal(String(await reader.read(ref.id, 0, 6, 6)), 'onetwo')
  await reader.close()
  const none = await trees.createPack({ app: 'shop', id: randomUUID() })
  await none.append([Buffer.from('nothing whole')])
  await none.close(0)
  t.strictSame(readdirSync(join(root, 'packs/shop')), [ref.id])
  await t.rejects(trees.openPacks('other').read(ref.id, 0, 1, 1), { code: 'unknown_artifact' }, 'an app’s own')
})

await test('more packs than may be open at once are read all the same', async (t) => {
  const { trees } = await open(t)
  const ids = Array.from({ length: 40 }, () => randomUUID())
  for (const id of ids) {
    const writer = await trees.createPack({ app: 'shop', id })
    await writer.append([Buffer.from(id)])
    await writer.close(id.length)
  }
  const reader = trees.openPacks('shop')
  for (const id of [...ids, ...ids]) t.equal(String(await reader.read(id, 0, 36, 36)), id)
  await reader.close()
})

await test('what is made appears whole, has an ETag of its making, and the longest unused makes room', async (t) => {
  const { root, trees } = await open(t, 250)
  const make = (name: string, bytes = 100) =>
    trees.make('shop', [name], async ([put]) => put?.(Buffer.alloc(bytes, name)))
  await t.rejects(
    trees.make('shop', ['half'], async ([put]) => {
      await put?.(Buffer.from('x'))
      throw new Error('it broke')
    }),
    { message: 'it broke' },
  )
  t.equal(await trees.findMade('shop', 'half'), undefined)
  t.strictSame(readdirSync(join(root, 'staging')), [])
  await make('a')
  await make('b')
  const first = await trees.findMade('shop', 'a')
  t.match(await trees.findMade('shop', 'a').then((again) => again?.etag), first?.etag)
  const stream = await first?.open({ start: 0, end: 9 })
  await make('c')
  t.equal(await trees.findMade('shop', 'b'), undefined, 'a was asked for after b')
  await make('d', 200)
  t.equal(await trees.findMade('shop', 'a'), undefined)
  t.equal(String(stream && (await buffer(stream))), 'aaaaaaaaaa', 'who reads it reads on')
  await make('a')
  const second = await trees.findMade('shop', 'a')
  t.not(second?.etag, first?.etag)
  await second?.close()
  await make('e', 1000)
  t.equal((await trees.findMade('shop', 'e'))?.bytes, 1000, 'one alone may be larger than there is room')
})

await test('a start keeps what is written down, removes the rest, and says what is lost', async (t) => {
  const { root, trees } = await open(t)
  const [kept, stray, lost] = [randomUUID(), randomUUID(), randomUUID()]
  for (const id of [kept, stray]) {
    const writer = await trees.createPack({ app: 'shop', id })
    await writer.append([Buffer.from(id)])
    await writer.close(36)
  }
  await trees.make('shop', ['x.full'], async ([put]) => put?.(Buffer.from('x')))
  writeFileSync(join(root, 'staging', 'half'), 'x')
  mkdirSync(join(root, 'packs/gone'))
  const known = [kept, lost].map((id) => ({ app: 'shop', id }))
  t.strictSame(await createFolderTrees(root, 1000).recover(known), [{ app: 'shop', id: lost }])
  t.strictSame(readdirSync(join(root, 'packs/shop')), [kept])
  t.strictSame(readdirSync(join(root, 'staging')), [])
  t.notOk(existsSync(join(root, 'made/shop')))
  rmSync(root, { recursive: true })
  writeFileSync(root, 'in the way')
  await t.rejects(trees.recover([]), { code: 'storage_unavailable' })
})
