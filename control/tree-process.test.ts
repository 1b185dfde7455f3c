// Trees in the process as a user runs it: uploads that are cut, and kill -9 in the middle of them.
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { objectPackType } from '@aether/contract/control-api'
import { isObject } from '@aether/contract/json'
import { eventually, freePort, startProcess, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { digestsOf, packOf, treeOf } from './test-trees.ts'

const main = join(import.meta.dirname, 'main.ts')
const token = 'admin-token-of-the-test'
const authorization = `Bearer ${token}`
const mebibyte = 1024 * 1024

/** More than is kept at once: 32 MiB. */
const large = await treeOf(
  Object.fromEntries(Array.from({ length: 45 }, (_, at) => [`part-${at}.bin`, randomBytes(mebibyte)])),
)

async function createControl(t: Test) {
  const folder = testFolder(t)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const start = () =>
    startProcess(t, main, {
      AETHER_API_TOKENS: `${token}:admin:ada`,
      AETHER_CONTROL_DATA_DIR: folder,
      AETHER_CONTROL_LISTEN_PORT: String(port),
      AETHER_REQUIRE_SIGNATURE: 'false',
    })
  let running = start()
  async function ask(method: string, path: string, body?: object | Buffer) {
    const isPack = Buffer.isBuffer(body)
    const answer = await fetch(url + path, {
      method,
      headers: { authorization, 'content-type': isPack ? objectPackType : 'application/json' },
      ...(body === undefined ? {} : { body: isPack ? new Uint8Array(body) : JSON.stringify(body) }),
    })
    const bytes = Buffer.from(await answer.arrayBuffer())
    const json: unknown = answer.headers.get('content-type')?.includes('json') ? JSON.parse(String(bytes)) : {}
    return { status: answer.status, bytes, json: isObject(json) ? json : {} }
  }
  const ready = () => eventually('control to be ready', async () => (await ask('GET', '/readyz')).status === 200)
  await ready()
  await ask('POST', '/apps', { name: 'shop' })
  return {
    ask,
    packs: () => (existsSync(join(folder, 'trees/packs/shop')) ? readdirSync(join(folder, 'trees/packs/shop')) : []),
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
      running.kill('SIGKILL')
      await running.exited
      running = start()
      await ready()
    },
  }
}

await test('what came whole of an upload that was cut is not lacking, and the rest is enough then', async (t) => {
  const { ask, begin, lacking, packs } = await createControl(t)
  const pack = await packOf(large)
  const sending = begin(pack, 20 * mebibyte)
  await eventually('a pack', () => packs().length === 1)
  await new Promise((resolve) => setTimeout(resolve, 500))
  sending.destroy()
  const digests = digestsOf(large)
  await eventually('the end of it', async () => (await lacking(digests)).length < digests.length)
  const left = await lacking(digests)
  t.ok(left.length > 20, `${left.length} are lacking`)
  const rest = await packOf(large, { only: new Set(left.map(String)) })
  t.match(await ask('POST', '/apps/shop/objects', rest), { status: 200, json: { objects: left.length } })
  t.equal((await ask('PUT', `/apps/shop/trees/${large.digest}`, {})).status, 201)
  t.equal((await ask('GET', `/artifacts/${large.digest}.full`)).status, 200)
})

await test('kill -9 in an upload loses nothing that was said to be there, and leaves nothing half', async (t) => {
  const { ask, begin, lacking, packs, kill9 } = await createControl(t)
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
  await ask('POST', '/apps/shop/objects', await packOf(large, { only: new Set(said.map(String)) }))
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
