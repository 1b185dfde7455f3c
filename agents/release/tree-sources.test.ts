// A tree from servers that do not tell the truth: whatever they give, the release is the wanted one or none.
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { deltaHeadBytes, encodeDeltaHead } from '@aether/artifact/delta-pack'
import { encodeRecordHead } from '@aether/artifact/record-stream'
import { digestOfFile } from '@aether/artifact/tree-digest'
import { encodeFolder } from '@aether/artifact/tree-object'
import { hexOf } from '@aether/contract/digest'
import { type Test, test } from 'tap'
import { releasePath } from './activate.ts'
import { listTree, refuses } from './test-kit.ts'
import { createPair, createTrees, type Pair, type Trees } from './test-tree-world.ts'
import { deltaPath } from './test-trees.ts'

/** Takes the second release, whatever the delta is; it comes from the next source. */
async function survives(t: Test, world: Pair, what: string, delta: Uint8Array, why: RegExp): Promise<void> {
  const { one, two, layout, wanted } = world
  world.serve(deltaPath(one, two), delta)
  const refreshed = await world.take(two)
  t.equal(refreshed.source, 'ranges', `${what}: another source`)
  t.strictSame(refreshed.refusedSources, ['delta'], what)
  t.match(refreshed.warnings.join('\n'), why, what)
  t.strictSame(listTree(releasePath(layout, two.digest)), wanted, `${what}: the release is whole`)
  t.strictSame(readdirSync(layout.staging), [], `${what}: nothing is left`)
  // Back to the first, and the second off the disk.
  await world.take(one)
  await world.take(one)
  rmSync(releasePath(layout, two.digest), { recursive: true })
  rmSync(join(layout.complete, `sha256-${hexOf(two.digest)}.json`))
  await world.prepare()
}

await test('a delta that lies costs its bytes: the parts of the full pack come instead', async (t) => {
  const world = await createPair(t)
  const { one, two, delta } = world
  const [from, to] = [hexOf(one.digest), hexOf(two.digest)]
  const head = delta.subarray(0, deltaHeadBytes)
  const records = splitRecords(zstdDecompressSync(delta.subarray(deltaHeadBytes)))
  const repacked = (changed: readonly Uint8Array[], front: Uint8Array = head) =>
    Buffer.concat([front, zstdCompressSync(Buffer.concat(changed))])
  const [root = Buffer.alloc(0)] = records
  const file = records.findIndex((record) => record[0] === 2)
  const other = Buffer.from('not asked for')
  const strange = Buffer.concat([encodeRecordHead('file', digestOfFile(other), other.length), other])
  const garbled = records.map((record, at) => (at === file ? flipped(record) : record))
  const object = encodeFolder([{ kind: 'file', name: 'a', executable: false, size: 1, digest: digestOfFile(other) }])
  const foreign = Buffer.concat([
    encodeRecordHead('object', object.digest, object.objects[0].bytes.length),
    object.objects[0].bytes,
  ])

  await survives(t, world, 'no pack at all', Buffer.from('<html>hello</html>'), /does not begin as one/)
  await survives(t, world, 'nothing', Buffer.alloc(0), /does not begin as one/)
  const turned = encodeDeltaHead({ from: to, to: from })
  await survives(t, world, 'the way back', repacked(records, turned), /goes from/)
  await survives(t, world, 'not compressed', Buffer.concat([head, Buffer.concat(records)]), /not compressed/)
  await survives(t, world, 'a file of other bytes', repacked(garbled), /other bytes/)
  await survives(t, world, 'an object of other bytes', repacked([flipped(root), ...records.slice(1)]), /other bytes/)
  await survives(t, world, 'a file is missing', repacked(records.toSpliced(file, 1)), /neither in the delta/)
  await survives(
    t,
    world,
    'an object is missing',
    repacked(records.toSpliced(1, 1)),
    /is not in the delta|did not come/,
  )
  await survives(t, world, 'a file is there twice', repacked([...records, records[file] ?? root]), /asked for no more/)
  await survives(t, world, 'a file too many', repacked([...records, strange]), /asked for no more|never was/)
  await survives(t, world, 'an object of another tree', repacked([foreign, ...records]), /asked for no more|never was/)
  await survives(t, world, 'cut off in a record', repacked([...records.slice(0, -1), root.subarray(0, 20)]), /./)
  await survives(t, world, 'zeros without end', repacked([...records, Buffer.alloc(60_000_000)]), /./)
  const short = (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 30)
  await survives(t, world, 'a torn stream', short(delta), /not compressed|ends in the middle/)

  world.routes.set(deltaPath(one, two), (_request, response) => {
    response.writeHead(200)
    response.write(head)
    const drip = setInterval(() => response.write(Buffer.alloc(200_000)), 1)
    response.on('close', () => clearInterval(drip))
  })
  const endless = await world.take(two)
  t.equal(endless.source, 'ranges', 'bytes without end')
  t.strictSame(listTree(releasePath(world.layout, two.digest)), world.wanted)
})

await test('parts of the full pack that lie, or an index that does, cost their bytes: the full pack comes instead', async (t) => {
  const world = await createPair(t)
  const { one, two, layout, wanted, routes } = world
  routes.delete(deltaPath(one, two))
  const index = bytesAt(world, `${two.path}.index`)
  const full = bytesAt(world, `${two.path}.full`)
  async function comesWhole(what: string, refused: readonly string[]): Promise<void> {
    const refreshed = await world.take(two)
    t.equal(refreshed.source, 'full', what)
    t.strictSame(refreshed.refusedSources, refused, `${what}: what was refused`)
    t.strictSame(listTree(releasePath(layout, two.digest)), wanted, `${what}: the release is whole`)
    t.strictSame(readdirSync(layout.staging), [], `${what}: nothing is left`)
    await world.take(one)
    await world.take(one)
    rmSync(releasePath(layout, two.digest), { recursive: true })
    rmSync(join(layout.complete, `sha256-${hexOf(two.digest)}.json`))
    await world.prepare()
  }
  for (const [what, bytes] of Object.entries({
    'an index of another tree': bytesAt(world, `${one.path}.index`),
    'a garbled index': flipped(index),
    'a short index': index.subarray(0, index.length / 2),
    'no index': Buffer.from('404 but with 200'),
  })) {
    routes.set(`${two.path}.index`, bytes)
    await comesWhole(what, ['ranges'])
  }
  routes.delete(`${two.path}.index`)
  await comesWhole('an index that nobody made', [])
  routes.set(`${two.path}.index`, index)
  routes.set(`${two.path}.full`, (request, response) => {
    if (request.headers.range === undefined) response.end(full)
    else response.writeHead(206).end(full.subarray(0, 1000))
  })
  await comesWhole('parts of other places', ['ranges'])
  routes.set(`${two.path}.full`, (_request, response) => {
    response.end(full)
  })
  await comesWhole('a server that knows no ranges', [])
})

await test('a full pack of anything else is refused, and what serves goes on', async (t) => {
  const world = await createTrees(t)
  const one = await world.publish()
  await world.take(one)
  writeFileSync(join(world.app, 'server.js'), 'two')
  const two = await world.publish()
  for (const suffix of ['.index', '.full']) world.routes.set(two.path + suffix, bytesAt(world, one.path + suffix))
  await refuses(t, world, () => world.take(two), 'checksum', 'mismatch', /makes the tree/)
  world.routes.delete(`${two.path}.full`)
  await refuses(t, world, () => world.take(two), 'download', 'not_found')
  world.routes.set(two.path, flipped(bytesAt(world, two.path)))
  await refuses(t, world, () => world.take(two), 'checksum', 'mismatch')
})

function bytesAt(world: Trees, path: string): Buffer {
  const bytes = world.routes.get(path)
  if (!(bytes instanceof Uint8Array)) throw new Error(`${path} is no file`)
  return Buffer.from(bytes)
}

function flipped(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes)
  const last = copy.length - 1
  copy[last] = (copy[last] ?? 0) ^ 1
  return copy
}

function splitRecords(bytes: Buffer): readonly Buffer[] {
  const records: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 41 + Number(bytes.readBigUInt64BE(at + 33))
    records.push(bytes.subarray(at, end))
    at = end
  }
  return records
}
