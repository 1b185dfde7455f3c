// Connections that break in mid-body, and what is asked for after that.
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { type Test, test } from 'tap'
import { createWorld, digestOf, reasonOf, refuses } from './test-kit.ts'
import { entry } from './test-tar.ts'

const bytes = gzipSync(
  Buffer.concat([entry({ name: 'a.bin' }, randomBytes(300_000).toString('hex')), Buffer.alloc(1024)]),
)
const digest = digestOf(bytes)
const cut = 70_000

/** Sends `piece` of a longer answer and takes the connection away once it is out. */
function breakOff(response: ServerResponse, piece: Uint8Array): void {
  response.write(piece, () => setTimeout(() => response.destroy(), 50))
}

async function createBreaking(
  t: Test,
  answers: readonly ((response: ServerResponse, from: number) => void)[],
  first: Readonly<Record<string, string>> = { etag: '"one"' },
) {
  const world = await createWorld(t)
  const ranges: (string | undefined)[] = []
  const seen = ({ headers }: IncomingMessage) => headers.range && `${headers.range} ${String(headers['if-range'])}`
  world.routes.set('/x', (request, response) => {
    const answer = answers[ranges.length - 1]
    ranges.push(seen(request))
    if (answer !== undefined) return answer(response, Number(/\d+/.exec(request.headers.range ?? '')?.[0]))
    response.writeHead(200, { 'content-length': bytes.length, ...first })
    breakOff(response, bytes.subarray(0, cut))
  })
  return { world, ranges, take: () => world.take(world.ask(digest, '/x')) }
}

const rest =
  (changes: Readonly<Record<string, string>> = {}) =>
  (response: ServerResponse, from: number) =>
    void response
      .writeHead(206, {
        'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`,
        'content-length': bytes.length - from,
        etag: '"one"',
        ...changes,
      })
      .end(bytes.subarray(from))

const whole = (response: ServerResponse) => void response.writeHead(200, { etag: '"two"' }).end(bytes)
const status = (code: number) => (response: ServerResponse) => void response.writeHead(code).end()

/** The rest, broken off once more. */
const some = (response: ServerResponse, from: number) => {
  response.writeHead(206, { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`, etag: '"one"' })
  breakOff(response, bytes.subarray(from, from + 10_000))
}

await test('a broken body goes on where it stopped, and every byte is read once', async (t) => {
  const { ranges, take } = await createBreaking(t, [rest()])
  t.match(await take(), { reused: false, bytes: bytes.length })
  t.same(ranges, [undefined, `bytes=${cut}- "one"`])
})

await test('it breaks again, the server is busy, and then gives the rest', async (t) => {
  const { ranges, take } = await createBreaking(t, [some, status(503), rest()])
  t.match(await take(), { bytes: bytes.length })
  t.same(ranges, [undefined, `bytes=${cut}- "one"`, `bytes=${cut + 10_000}- "one"`, `bytes=${cut + 10_000}- "one"`])
})

await test('after the third time it is left', async (t) => {
  const { world, ranges, take } = await createBreaking(t, [some, some, some, rest()])
  await refuses(t, world, take, 'download', 'truncated', /broke off/)
  t.equal(ranges.length, 4)
})

await test('what is not the rest of the same bytes is refused', async (t) => {
  const wrong = [
    whole,
    rest({ etag: '"two"' }),
    rest({ 'content-range': `bytes 0-${bytes.length - 1}/${bytes.length}` }),
    rest({ 'content-range': `bytes ${cut}-${bytes.length - 1}/${bytes.length + 1}` }),
    rest({ 'content-range': 'nonsense' }),
  ]
  for (const answer of wrong) {
    const { world, ranges, take } = await createBreaking(t, [answer, rest()])
    await refuses(t, world, take, 'download', 'truncated')
    t.equal(ranges.length, 2)
  }
  const busy = await createBreaking(t, [
    (response) => void response.writeHead(503, { 'retry-after': '7' }).end(),
    rest(),
  ])
  t.match(await reasonOf(busy.take()), { detail: 'http_status', retryAfterMs: 7000 }, 'a busy server is left alone')
  const { world, take } = await createBreaking(t, [status(404)])
  await refuses(t, world, take, 'download', 'not_found')
})

await test('other bytes under the same ETag are found by the digest', async (t) => {
  const { world, take } = await createBreaking(t, [
    (response, from) => {
      const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`
      response.writeHead(206, { 'content-range': range, etag: '"one"' }).end(Buffer.alloc(bytes.length - from))
    },
  ])
  await refuses(t, world, take, 'checksum', 'mismatch')
})

await test('without a strong ETag, or where the server gives no ranges, nothing is asked again', async (t) => {
  for (const headers of [{}, { etag: 'W/"one"' }, { etag: 'one' }, { etag: '"one"', 'accept-ranges': 'none' }]) {
    const { ranges, take } = await createBreaking(t, [rest()], headers)
    t.match(await reasonOf(take()), { detail: 'truncated' })
    t.equal(ranges.length, 1)
  }
})
