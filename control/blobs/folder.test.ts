import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { digestFromHex, hexOf } from '@aether/contract/digest'
import { startProcess, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { ControlError } from '../domain/errors.ts'
import { createFolderBlobs } from './folder.ts'

const plenty = 10_000_000
const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'needs root: it mounts a small tmpfs' }

async function* chunked(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

function digestOf(bytes: Uint8Array) {
  return digestFromHex(createHash('sha256').update(bytes).digest('hex'))
}

function staged(root: string): readonly string[] {
  return readdirSync(join(root, 'staging'))
}

/** The error that a call must throw. */
async function errorOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => new Error('it did not throw'),
    (error: unknown) => error,
  )
}

async function blobsFor(t: Test) {
  const root = join(testFolder(t), 'blobs')
  const blobs = createFolderBlobs(root)
  await blobs.recover()
  return { root, blobs }
}

await test('a blob is found by its digest once it is kept, and not before', async (t) => {
  const { root, blobs } = await blobsFor(t)
  const bytes = randomBytes(123_456)
  const digest = digestOf(bytes)
  const blob = await blobs.stage(chunked(bytes), bytes.length)
  t.match(blob, { digest, bytes: bytes.length })
  t.equal(await blobs.sizeOf(digest), undefined)
  t.match(await errorOf(blobs.open(digest, null)), { code: 'unknown_artifact', message: digest })

  await blob.keep()
  await blob.discard()
  t.equal(await blobs.sizeOf(digest), bytes.length)
  t.ok(bytes.equals(await buffer(await blobs.open(digest, null))))
  t.ok(bytes.subarray(10, 21).equals(await buffer(await blobs.open(digest, { start: 10, end: 20 }))))
  t.ok(bytes.subarray(123_455).equals(await buffer(await blobs.open(digest, { start: 123_455, end: 999_999 }))))
  t.strictSame(staged(root), [])
  const path = join(root, 'sha256', hexOf(digest).slice(0, 2), hexOf(digest))
  t.equal(statSync(path).mode & 0o777, 0o600)
  for (const folder of [root, join(path, '..'), join(root, 'sha256'), join(root, 'staging')])
    t.equal(statSync(folder).mode & 0o777, 0o700, folder)

  await blobs.remove(digest)
  await blobs.remove(digest)
  t.equal(await blobs.sizeOf(digest), undefined)
})

await test('what is discarded leaves nothing, and an empty blob is one', async (t) => {
  const { root, blobs } = await blobsFor(t)
  const blob = await blobs.stage(chunked(Buffer.from('not wanted')), plenty)
  t.equal(staged(root).length, 1)
  await blob.discard()
  await blob.discard()
  t.strictSame(staged(root), [])
  t.match(await errorOf(blob.keep()), { code: 'storage_unavailable' }, 'what was discarded cannot be kept')

  const empty = await blobs.stage(chunked(Buffer.alloc(0)), plenty)
  await empty.keep()
  t.equal(await blobs.sizeOf(empty.digest), 0)
})

await test('the same blob staged by several at once is kept once, and an open one is read to its end', async (t) => {
  const { root, blobs } = await blobsFor(t)
  const bytes = randomBytes(500_000)
  const all = await Promise.all([1, 2, 3, 4].map((n) => blobs.stage(chunked(bytes, n * 1_000), plenty)))
  await all[0]?.keep()
  const reading = await blobs.open(digestOf(bytes), null)
  await Promise.all(all.map((blob) => blob.keep()))
  t.ok(bytes.equals(await buffer(reading)))
  t.ok(bytes.equals(await buffer(await blobs.open(digestOf(bytes), null))))
  t.strictSame(staged(root), [])
})

await test('a body that ends in the middle, or is too large, leaves nothing', async (t) => {
  const { root, blobs } = await blobsFor(t)
  const gone = new Error('the connection was reset')
  async function* broken() {
    yield Buffer.from('a part')
    throw gone
  }
  t.equal(await errorOf(blobs.stage(broken(), plenty)), gone, 'what the body throws is thrown on')
  const error = await errorOf(blobs.stage(chunked(Buffer.alloc(100_001)), 100_000))
  t.match(error, { code: 'too_large', message: '100000' })
  t.strictSame(staged(root), [])
  await (await blobs.stage(chunked(Buffer.alloc(100_000)), 100_000)).discard()
})

await test('no more of the body is read than was written', async (t) => {
  const { root, blobs } = await blobsFor(t)
  let given = 0
  let most = 0
  async function* counting() {
    for (; given < 3_000_000; given += 100_000) {
      const [name] = staged(root)
      most = Math.max(most, given - (name === undefined ? 0 : statSync(join(root, 'staging', name)).size))
      yield Buffer.alloc(100_000)
    }
  }
  await (await blobs.stage(counting(), plenty)).keep()
  t.equal(given, 3_000_000)
  t.equal(most, 0)
})

await test('what a killed process left in staging goes at the next start, and nothing of it is found', async (t) => {
  const { root, blobs } = await blobsFor(t)
  const kept = await blobs.stage(chunked(Buffer.from('kept before')), plenty)
  await kept.keep()
  const process = startProcess(t, join(import.meta.dirname, 'test-stage.ts'), {}, [root])
  await process.line('staging')
  process.kill('SIGKILL')
  t.equal(await process.exited, 'SIGKILL')
  t.equal(staged(root).length, 1, 'a part is there')
  await createFolderBlobs(root).recover()
  t.strictSame(staged(root), [])
  t.equal(await blobs.sizeOf(kept.digest), 11)
  t.equal(readdirSync(join(root, 'sha256')).length, 1)
})

await test('a full volume refuses a blob with the remedy, and takes the next one that fits', needsRoot, async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'aether-blobs-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', root])
  t.teardown(() => {
    execFileSync('umount', ['-l', root])
    rmSync(root, { recursive: true })
  })
  const blobs = createFolderBlobs(root)
  await blobs.recover()
  const error = await errorOf(blobs.stage(chunked(randomBytes(2_000_000)), plenty))
  t.match(error, { code: 'storage_unavailable', message: /no room is left.*ENOSPC/, cause: { code: 'ENOSPC' } })
  t.strictSame(staged(root), [])
  const fits = await blobs.stage(chunked(randomBytes(500_000)), plenty)
  await fits.keep()

  execFileSync('mount', ['-o', 'remount,ro', root])
  t.match(await errorOf(blobs.stage(chunked(Buffer.from('x')), plenty)), {
    code: 'storage_unavailable',
    message: /mount it read-write.*EROFS/,
  })
  t.match(await errorOf(blobs.remove(fits.digest)), { code: 'storage_unavailable' })
  t.equal((await buffer(await blobs.open(fits.digest, null))).length, 500_000, 'reading goes on')
  execFileSync('mount', ['-o', 'remount,rw', root])
})

await test('a folder that cannot be used is said with the remedy', async (t) => {
  const folder = testFolder(t, { file: 'in the way' })
  const error = await errorOf(createFolderBlobs(join(folder, 'file')).recover())
  t.ok(error instanceof ControlError)
  t.match(error, { code: 'storage_unavailable', message: /ENOTDIR/ })
})
