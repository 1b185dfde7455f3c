// The chaos table of docs/security.md, the rows of the artifact server and the target: one fetcher process through all of
// them, while another process reads `current` without pause. Retries are slow here from the first failure on, so that one
// target is one attempt.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, renameSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { type Digest, hexOf } from '@aether/contract/digest'
import { releaseName } from '@aether/contract/layout'
import { listTree } from '@aether/release/test-kit'
import { eventually, startProcess } from '@aether/runtime/test-process'
import { test } from 'tap'
import { createWorld, type Made } from './test-kit.ts'

const observer = fileURLToPath(import.meta.resolve('@aether/release/test-worker'))
const oneAttempt = { AETHER_ANOMALY_FAIL_THRESHOLD: '1' }
const artifactUrl = 'aether.dev/artifact-url'
const signature = 'aether.dev/signature'

type World = Awaited<ReturnType<typeof createWorld>>
type Answer = (response: ServerResponse, bytes: Uint8Array) => void

interface Fault {
  readonly name: string
  readonly says: readonly [string, string]
  /** How often the server is asked in one attempt: a connection that breaks is not taken up again without an ETag. */
  readonly asks: number
  readonly answer?: Answer
  readonly annotations?: Readonly<Record<string, string>>
}

const half: Answer = (response, bytes) => {
  response.writeHead(200, { 'content-length': bytes.length })
  response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy())
}
const status =
  (code: number, headers = {}): Answer =>
  (response) =>
    response.writeHead(code, headers).end()

const faults: readonly Fault[] = [
  { name: 'truncated body', says: ['download', 'truncated'], asks: 1, answer: half },
  {
    name: 'wrong length, too long',
    says: ['download', 'truncated'],
    asks: 1,
    answer: (response, bytes) => {
      response.writeHead(200, { 'content-length': bytes.length + 10 })
      response.write(bytes, () => response.destroy())
    },
  },
  {
    name: 'wrong length, too short',
    says: ['checksum', 'mismatch'],
    asks: 1,
    answer: (response, bytes) => response.writeHead(200, { 'content-length': 20 }).end(bytes.subarray(0, 20)),
  },
  {
    name: 'reset before the answer',
    says: ['download', 'unreachable'],
    asks: 1,
    answer: (response) => response.socket?.resetAndDestroy(),
  },
  {
    name: 'reset in the middle',
    says: ['download', 'truncated'],
    asks: 1,
    answer: (response, bytes) => {
      response.writeHead(200, { 'content-length': bytes.length })
      response.write(bytes.subarray(0, 30), () => setTimeout(() => response.socket?.resetAndDestroy(), 50))
    },
  },
  {
    name: 'slow server',
    says: ['download', 'timeout'],
    asks: 1,
    answer: (response) => {
      const drip = setInterval(() => response.write('x'), 20)
      response.on('close', () => clearInterval(drip))
    },
  },
  { name: 'hanging server', says: ['download', 'timeout'], asks: 1, answer: () => {} },
  {
    name: 'server that hangs in the middle',
    says: ['download', 'timeout'],
    asks: 1,
    answer: (response, bytes) => void response.write(bytes.subarray(0, 30)),
  },
  {
    name: 'body without an end',
    says: ['download', 'too_large'],
    asks: 1,
    answer: (response) => {
      const more = setInterval(() => response.write(Buffer.alloc(65_536)), 1)
      response.on('close', () => clearInterval(more))
    },
  },
  { name: '404', says: ['download', 'not_found'], asks: 1, answer: status(404) },
  { name: '403', says: ['download', 'forbidden'], asks: 1, answer: status(403) },
  { name: '500', says: ['download', 'http_status'], asks: 1, answer: status(500) },
  { name: '429', says: ['download', 'http_status'], asks: 1, answer: status(429, { 'retry-after': '1' }) },
  {
    name: 'wrong digest',
    says: ['checksum', 'mismatch'],
    asks: 1,
    answer: (response) => response.end(gzipSync('another archive')),
  },
  { name: 'bad signature', says: ['signature', 'invalid'], asks: 0, annotations: { [signature]: '0'.repeat(128) } },
  { name: 'no signature', says: ['signature', 'missing'], asks: 0, annotations: { [signature]: '' } },
  {
    name: 'server that is not there',
    says: ['download', 'unreachable'],
    asks: 0,
    annotations: { [artifactUrl]: 'http://127.0.0.1:1/none' },
  },
]

function answering(world: World, made: Made, answer: Answer): void {
  const path = new URL(made.annotations[artifactUrl] ?? '').pathname
  const bytes = world.server.routes.get(path)
  if (!(bytes instanceof Uint8Array)) throw new Error('no artifact')
  world.server.routes.set(path, (_request, response) => answer(response, bytes))
}

const listing = (text: string) => [`server.js - ${createHash('sha256').update(text).digest('hex')}`]

/** What a failed attempt may not change. */
function disk(world: World): unknown {
  const { workspace, staging, lock } = world.layout
  return [listTree(workspace), readdirSync(staging), readdirSync(lock).length]
}

await test('no fault of a server or a target moves what serves: one marker, a clean disk, and the next good target is taken', async (t) => {
  const world = await createWorld(t, {
    ...oneAttempt,
    AETHER_DOWNLOAD_IDLE_MS: '400',
    AETHER_DOWNLOAD_TOTAL_MS: '1200',
    AETHER_MAX_ARTIFACT_BYTES: '1000000',
  })
  const [old, next] = [world.make('old'), world.make('next')]
  const manifest = { [releaseName(old.digest)]: listing('old'), [releaseName(next.digest)]: listing('next') }
  world.annotate(old.annotations)
  const fetcher = world.start()
  await fetcher.marker(1)
  const reader = startProcess(t, observer, {}, ['observe', JSON.stringify({ root: world.layout.root, manifest })])
  await reader.line('ready')
  const before = disk(world)

  let said = 1
  for (const { name, says, asks, answer, annotations = {} } of faults) {
    const bad = world.make(name, annotations)
    if (answer !== undefined) answering(world, bad, answer)
    world.annotate(bad.annotations)
    const marker = await fetcher.marker(++said)
    const [reason, detail] = says
    t.match(marker, { kind: 'fail', reason, pairs: { detail, failures: String(said - 1) } }, name)
    await fetcher.line(`REFRESH_STATE failures=${said - 1} last_digest=${hexOf(old.digest)}`)
    t.same(disk(world), before, `${name}: the disk is what it was`)
    t.equal(world.asked(bad), asks, `${name}: asked ${asks} times`)
    t.equal(await world.livez(), 200, `${name}: it lives`)
  }
  await sleep(700)
  t.equal(fetcher.markers().length, said, 'nothing was said twice, and nothing is hurried')
  t.match(await world.metrics(), `dev_hot_refresh_consecutive_failures{app="shop"} ${said - 1}`)
  const peak = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${fetcher.pid}/status`, 'utf8'))?.[1])
  t.ok(peak < 250_000, `memory never went over ${peak} kB`)

  world.annotate(next.annotations)
  t.match(await fetcher.marker(++said), { kind: 'ok', digest: hexOf(next.digest), pairs: { activation: '2' } })
  reader.kill('SIGTERM')
  const { seen, faults: torn } = JSON.parse(await reader.line('{"seen"'))
  t.same(torn, [], 'whoever read current found a whole release each time')
  t.same(new Set(Object.keys(seen)), new Set(Object.keys(manifest)))
})

await test('a key that is gone is a fault of its own, and what serves stays', async (t) => {
  const world = await createWorld(t, oneAttempt)
  const [one, two] = [world.make('one'), world.make('two')]
  world.annotate(one.annotations)
  const fetcher = world.start()
  await fetcher.marker(1)
  const before = disk(world)
  const key = join(world.root, 'key.pem')
  renameSync(key, `${key}.away`)
  world.annotate(two.annotations)
  t.match(await fetcher.marker(2), { kind: 'fail', reason: 'key', pairs: { detail: 'unreadable' } })
  t.same([world.asked(two), disk(world)], [0, before], 'nothing is asked for')
  renameSync(`${key}.away`, key)
  world.annotate({ ...two.annotations, 'aether.dev/build-time': 'later' })
  t.match(await fetcher.marker(3), { kind: 'ok', digest: hexOf(two.digest) })
})

await test('a server that fails for a while is asked again by itself, each attempt with one marker, until it answers', async (t) => {
  const world = await createWorld(t)
  const one = world.make('one')
  const path = new URL(one.annotations[artifactUrl] ?? '').pathname
  const bytes = world.server.routes.get(path)
  const answers: Answer[] = [status(500), half, status(429, { 'retry-after': '1' })]
  const at: number[] = []
  world.server.routes.set(path, (_request, response) => {
    at.push(performance.now())
    const answer = answers.shift()
    if (bytes instanceof Uint8Array) (answer ?? ((last: ServerResponse) => last.end(bytes)))(response, bytes)
  })
  world.annotate(one.annotations)
  const fetcher = world.start()
  t.match(await fetcher.marker(4), { kind: 'ok', digest: hexOf(one.digest) })
  t.same(
    fetcher.markers().map((marker) => (marker.kind === 'fail' ? marker.pairs['detail'] : 'ok')),
    ['http_status', 'truncated', 'http_status', 'ok'],
  )
  t.equal(at.length, 4)
  t.ok((at[3] ?? 0) - (at[2] ?? 0) >= 1000, 'a busy server was left alone as long as it asked')
})

await test('A-B-A in quick succession ends on A, with one download of each at most and an OK for each activation', async (t) => {
  const world = await createWorld(t, { AETHER_MIN_REFRESH_INTERVAL_MS: '300' })
  const [a, b] = [world.make('a'), world.make('b')]
  world.annotate(a.annotations)
  const fetcher = world.start()
  await fetcher.marker(1)
  for (let n = 0; n < 12; n++) {
    world.annotate({ ...(n % 2 === 0 ? b : a).annotations, 'aether.dev/build-time': String(n) })
    await sleep(n * 10)
  }
  const last = async (made: Made) => (await world.current()) === made.digest
  await sleep(700) // for what an interval may have put off
  await eventually('A to serve', () => last(a))
  const oks = fetcher.markers().filter(({ kind }) => kind === 'ok')
  t.equal(oks.length, fetcher.markers().length, 'none is a failure')
  t.equal(oks.length, world.activation().id, 'each activation is said once')
  t.ok(world.activation().id > 1 && world.activation().id < 12, `${world.activation().id} activations for 13 targets`)
  t.same([world.asked(a), world.asked(b)], [1, 1])
  const gone = (digest: Digest) => !readdirSync(world.layout.releases).includes(releaseName(digest))
  t.notOk(gone(a.digest) || gone(b.digest), 'both are kept for the next time')
})

await test('a pod that is deleted in the middle of a refresh leaves what served, in time and without a word', async (t) => {
  const world = await createWorld(t)
  const [one, two] = [world.make('one'), world.make('two')]
  world.annotate(one.annotations)
  const fetcher = world.start()
  await fetcher.marker(1)
  const before = disk(world)
  const begun = world.hang(two)
  world.annotate(two.annotations)
  await begun
  fetcher.kill('SIGTERM')
  t.equal(await fetcher.exited, 0)
  t.equal(fetcher.markers().length, 1)
  t.same(
    disk(world),
    [...(Array.isArray(before) ? before.slice(0, 2) : []), 0],
    'the lock is free, and nothing else changed',
  )
})
