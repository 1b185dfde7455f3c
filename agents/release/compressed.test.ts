// The compressed stream around an archive, gzip or zstd. Each artifact is signed and has the right digest: only its content is wrong.
import { join } from 'node:path'
import { constants, zstdCompressSync } from 'node:zlib'
import { test } from 'tap'
import { createWorld, listTree } from './test-kit.ts'
import { refusesAll } from './test-refusals.ts'
import { endMark, file, packed, release } from './test-tar.ts'

const good = release('good')
/** RFC 8878, 3.1.2: three bytes that mean nothing. */
const skippable = Buffer.from('502a4d1803000000aaaaaa', 'hex')

await test('what is no whole gzip stream is refused', (t) =>
  refusesAll(t, {
    'plain text': ['bad_compression', Buffer.from('not a gzip at all'), /pack it as \.tar\.gz/],
    'a tar that is not compressed': ['bad_compression', Buffer.concat([file('a'), endMark])],
    nothing: ['truncated', Buffer.alloc(0)],
    'cut in its first bytes': ['truncated', good.subarray(0, 5)],
    'cut in the middle': ['truncated', good.subarray(0, good.length >> 1), /middle of its compressed/],
    'cut before its checksum': ['truncated', good.subarray(0, -4)],
    'with a wrong checksum': ['bad_compression', Buffer.concat([good.subarray(0, -8), Buffer.alloc(8, 1)])],
    'cut in its second member': ['truncated', Buffer.concat([packed(file('a')), good.subarray(0, -20)])],
    'with text after it': ['bad_compression', Buffer.concat([good, Buffer.alloc(100, 'x')])],
    'with text after zeros after it': [
      'bad_compression',
      Buffer.concat([good, Buffer.alloc(9), Buffer.alloc(99, 'x')]),
    ],
  }))

await test('what is no whole zstd stream is refused', (t) => {
  const tar = Buffer.concat([file('a'), endMark])
  const frame = zstdCompressSync(tar, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
  return refusesAll(t, {
    'cut in its first bytes': ['truncated', frame.subarray(0, 3), /3 bytes and no more/],
    'cut in the middle': ['truncated', frame.subarray(0, frame.length >> 1), /middle of its compressed/],
    'cut before its checksum': ['truncated', frame.subarray(0, -4)],
    'with a wrong checksum': ['bad_compression', Buffer.concat([frame.subarray(0, -4), Buffer.alloc(4, 1)])],
    'with text after it': ['bad_compression', Buffer.concat([frame, Buffer.alloc(100, 'x')])],
    'with a gzip stream after it': ['bad_compression', Buffer.concat([frame, good])],
    'a second archive in a frame of its own': ['not_tar', Buffer.concat([frame, frame]), /after its end mark/],
    'a skippable frame and nothing else': ['truncated', skippable],
    'much from little': ['limit', zstdCompressSync(Buffer.alloc(80 * 1024 * 1024)), /AETHER_MAX_UNPACK_RATIO/],
  })
})

await test('zstd frames are taken as gzip members are, and a skippable frame says nothing', async (t) => {
  const world = await createWorld(t)
  const [one, two] = [file('a'), Buffer.concat([file('b'), endMark])]
  const frames = [skippable, zstdCompressSync(one), skippable, zstdCompressSync(two)]
  await world.take(world.publish(Buffer.concat(frames)))
  t.strictSame(
    listTree(join(world.layout.workspace, 'current')).map((line) => line.split(' ')[0]),
    ['a', 'b'],
  )
})
