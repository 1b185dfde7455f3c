// Trees in the process as a user runs it: uploads that are cut, and kill -9 in the middle of them.
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { objectPackType } from '@aether/contract/control-api'
import { eventually, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { authorization, startControl } from './test-process.ts'
import { digestsOf, packOf, treeOf } from './test-trees.ts'

const mebibyte = 1024 * 1024

/** More than is kept at once: 32 MiB. */
const large = await treeOf(
  Object.fromEntries(Array.from({ length: 45 }, (_, at) => [`part-${at}.bin`, randomBytes(mebibyte)])),
)

async function createControl(t: Test) {
  const folder = testFolder(t)
  const control = await startControl(t, folder)
  const { url, ask, ready } = control
  const own = join(folder, 'trees/packs/shop')
  await ready()
  await ask('POST', '/apps', { name: 'shop' })
  return {
    ask,
    send: (pack: Buffer) => control.send('/apps/shop/objects', objectPackType, pack),
    packs: () => (existsSync(own) ? readdirSync(own) : []),
    packBytes: () => readdirSync(own).reduce((sum, name) => sum + statSync(join(own, name)).size, 0),
    async lacking(digests: readonly string[]): Promise<readonly unknown[]> {
      const { lacking } = (await ask('POST', '/apps/shop/objects/lacking', { digests })).json
      return Array.isArray(lacking) ? lacking : []
    },
    /** Sends so many bytes of a pack, and leaves the rest. */
    begin(pack: Buffer, bytes: number) {
      const headers = { authorization, 'content-type': objectPackType, 'content-length': String(pack.length) }
      const sending = httpRequest(`${url}/apps/shop/objects`, { method: 'POST', headers })
      sending.on('error', () => {}) // that it breaks is the point
      sending.write(pack.subarray(0, bytes))
      return sending
    },
    async kill9() {
      await control.kill9()
      control.restart()
      await ready()
    },
  }
}

await test('what came whole of an upload that was cut is not lacking, and the rest is enough then', async (t) => {
  const { ask, send, begin, lacking, packBytes } = await createControl(t)
  const pack = await packOf(large)
  const sending = begin(pack, 20 * mebibyte)
  await eventually('most of it on disk', () => packBytes() > 15 * mebibyte)
  sending.destroy()
  const digests = digestsOf(large)
  await eventually('the end of it', async () => (await lacking(digests)).length < digests.length)
  const left = await lacking(digests)
  t.ok(left.length > 20, `${left.length} are lacking`)
  const rest = await packOf(large, { only: new Set(left.map(String)) })
  t.match(await send(rest), { status: 200, json: { objects: left.length } })
  t.equal((await ask('PUT', `/apps/shop/trees/${large.digest}`, {})).status, 201)
  t.equal((await ask('GET', `/artifacts/${large.digest}.full`)).status, 200)
})

await test('kill -9 in an upload loses nothing that was said to be there, and leaves nothing half', async (t) => {
  const { ask, send, begin, lacking, packs, kill9 } = await createControl(t)
  const pack = await packOf(large)
  begin(pack, 40 * mebibyte)
  const digests = digestsOf(large)
  await eventually('the first part', async () => (await lacking(digests)).length < digests.length)
  const said = await lacking(digests)
  await kill9()
  t.strictSame(await lacking(digests), said)
  t.match(await ask('PUT', `/apps/shop/trees/${large.digest}`, {}), { status: 409, json: { code: 'incomplete' } })
  t.equal((await ask('GET', `/artifacts/${large.digest}`)).status, 404)
  t.equal(packs().length, 1)
  await send(await packOf(large, { only: new Set(said.map(String)) }))
  t.equal((await ask('PUT', `/apps/shop/trees/${large.digest}`, {})).status, 201)
  await kill9()
  const full = await ask('GET', `/artifacts/${large.digest}.full`)
  t.equal(full.status, 200)
  t.ok(full.bytes.length > 45 * mebibyte)

  // Killed before anything of it was written down: the pack is nobody's, and goes.
  const small = await treeOf({ 'a.bin': randomBytes(8 * mebibyte), 'b.js': 'b' })
  const before = packs()
  begin(await packOf(small), 4 * mebibyte)
  await eventually('its pack', () => packs().length > before.length)
  await kill9()
  t.strictSame(packs().toSorted(), before.toSorted())
  t.same(await lacking(digestsOf(small)), digestsOf(small))
})
