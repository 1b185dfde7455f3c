// For tests: archives of a few entries with a few things wrong, most of them with a right checksum, so that they are read.
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { endMark, entry, file, header, pax, sealed, symlink } from './test-tar.ts'

/** Few names, so that they meet: the same, one below the other, a link in between, each in more than one spelling. */
const names = ['a', 'b', 'd', 'd/a', 'd/e/f', './a', 'd//b', 'l', 'l/a', 'é', 'a ', 'd/.', 'a/']
const targets = [
  'a',
  'd/a',
  'd',
  '.',
  'd/..',
  '../a',
  'l',
  'l/..',
  '/a',
  'gone',
  'a/',
  './d/./a',
  '../outside/sentinel',
]
const name = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(...names) },
  { weight: 2, arbitrary: fc.nat(60).map((n) => (n % 3 === 0 ? `d/f${n}` : `f${n}`)) },
)
const target = fc.constantFrom(...targets)
const body = fc.string({ maxLength: 600 })
const mode = fc.constantFrom(0o644, 0o755, 0o600, 0o744, 0o100755)

/** An entry with what stands before it, as one piece: order is changed between pieces and within them. */
const piece = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(name, body, mode).map(([n, text, m]) => entry({ name: n, mode: m }, text)) },
  { weight: 3, arbitrary: name.map((n) => header({ name: `${n}/`, type: '5', mode: 0o755 })) },
  { weight: 2, arbitrary: fc.tuple(name, target).map(([n, to]) => symlink(n, to)) },
  { weight: 1, arbitrary: fc.tuple(name, target).map(([n, to]) => header({ name: n, type: '1', link: to })) },
  { weight: 1, arbitrary: fc.tuple(name, body).map(([n, text]) => entry({ name: n, magic: 'ustar  \0' }, text)) },
  { weight: 1, arbitrary: name.map((n) => Buffer.concat([pax({ path: n, mtime: '1.5' }), file('named')])) },
  { weight: 1, arbitrary: target.map((to) => Buffer.concat([pax({ linkpath: to }), symlink('pl', 'x')])) },
  { weight: 1, arbitrary: name.map((n) => Buffer.concat([entry({ name: 'L', type: 'L' }, `${n}\0`), file('long')])) },
  {
    weight: 1,
    arbitrary: target.map((to) => Buffer.concat([entry({ name: 'K', type: 'K' }, to), symlink('kl', 'x')])),
  },
  { weight: 1, arbitrary: body.map((text) => pax({ comment: text }, 'g')) },
  { weight: 1, arbitrary: body.map((text) => pax({ comment: text })) }, // meets what comes next
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('path', 'linkpath', 'size', 'uid', 'mtime', 'hdrcharset', 'GNU.sparse.size', 'x.y'), name)
      .map(([key, value]) => Buffer.concat([pax({ [key]: value }), file('kept')])),
  },
  {
    weight: 1,
    arbitrary: body.map((text) => Buffer.concat([pax({ size: `${Buffer.byteLength(text)}` }), sizeless(text)])),
  },
)

const octal = fc.integer({ min: 0, max: 0o7777 }).map((n) => `${n.toString(8).padStart(7, '0')}\0`)
const odd = fc.constantFrom(
  '',
  ' ',
  '\0',
  '-1',
  '+7',
  '9',
  ' 644',
  '644 7',
  '\x80\0\0\0\0\0\0\x01',
  '\xff\xff\xff\xff',
  '\t7',
)
const field = fc.oneof(
  fc.record({ at: fc.constant(0), bytes: fc.oneof(name, fc.string({ maxLength: 100 })), length: fc.constant(100) }),
  fc.record({ at: fc.constant(100), bytes: fc.oneof(octal, odd), length: fc.constant(8) }), // mode
  fc.record({ at: fc.constantFrom(108, 116, 329, 337), bytes: odd, length: fc.constant(8) }), // owner, device
  fc.record({
    at: fc.constantFrom(124, 136), // size, time
    bytes: fc.oneof(
      odd,
      octal,
      fc.integer({ min: 0, max: 1300 }).map((n) => n.toString(8).padStart(11, '0')),
    ),
    length: fc.constant(12),
  }),
  fc.record({
    at: fc.constant(156),
    bytes: fc.constantFrom(...Array.from('\x0001234567xgLKSDVMNAX@')),
    length: fc.constant(1),
  }),
  fc.record({ at: fc.constant(157), bytes: target, length: fc.constant(100) }),
  fc.record({
    at: fc.constant(257),
    bytes: fc.constantFrom('ustar\x0000', 'ustar\0  ', 'ustar  \0', '', 'ustar'),
    length: fc.constant(8),
  }),
  fc.record({ at: fc.constantFrom(265, 297), bytes: fc.string({ maxLength: 31 }), length: fc.constant(32) }), // names
  fc.record({ at: fc.constant(345), bytes: fc.constantFrom('p', 'd', 'd/', '..', '/'), length: fc.constant(155) }),
)

/** `spot` is a share of the archive: it finds a block whatever the archive's length. */
const spot = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const change = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('field' as const), spot, field }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('byte' as const), spot, value: fc.nat(255), mend: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('swap' as const), spot, other: spot }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('drop' as const), spot, blocks: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('repeat' as const), spot }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), spot }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('append' as const), bytes: fc.uint8Array({ maxLength: 1030 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('zeros' as const), blocks: fc.integer({ min: 1, max: 20 }) }) },
)
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

export const archives: fc.Arbitrary<Buffer> = fc
  .record({
    pieces: fc.array(piece, { minLength: 1, maxLength: 6 }),
    changes: fc.array(change, { maxLength: 2 }),
  })
  .map(({ pieces, changes }) => printable(changes.reduce(apply, Buffer.concat([...pieces, endMark]))))

function apply(archive: Buffer, by: Change): Buffer {
  if (by.kind === 'append') return Buffer.concat([archive, by.bytes])
  if (by.kind === 'zeros') return Buffer.concat([archive, Buffer.alloc(512 * by.blocks)])
  if (by.kind === 'cut') return archive.subarray(0, Math.floor(by.spot * archive.length))
  const blocks = Array.from({ length: Math.floor(archive.length / 512) }, (_, i) =>
    Buffer.from(archive.subarray(i * 512, i * 512 + 512)),
  )
  const at = Math.floor(by.spot * blocks.length)
  const block = blocks[at]
  if (block === undefined) return archive
  if (by.kind === 'drop') blocks.splice(at, by.blocks)
  else if (by.kind === 'repeat') blocks.splice(at, 0, block)
  else if (by.kind === 'swap') {
    const other = Math.floor(by.other * blocks.length)
    blocks[at] = blocks[other] ?? block
    blocks[other] = block
  } else if (by.kind === 'byte') {
    const isHeader = looksSealed(block)
    block[Math.floor((by.spot * blocks.length - at) * 512)] = by.value
    if (by.mend && isHeader) sealed(block)
  } else {
    // A field is changed in the last header at or before the spot, so that most changes hit one.
    const head = blocks.slice(0, at + 1).findLast(looksSealed)
    if (head === undefined) return archive
    head.fill(0, by.field.at, by.field.at + by.field.length)
    head.write(by.field.bytes, by.field.at, by.field.length, by.field.at === 0 ? 'utf8' : 'latin1')
    sealed(head)
  }
  return Buffer.concat(blocks)
}

function looksSealed(block: Buffer): boolean {
  return block[0] !== 0 && sealed(Buffer.from(block)).equals(block)
}

/** A file whose header says it is empty: its size comes from a PAX record. */
function sizeless(text: string): Buffer {
  const whole = entry({ name: 'sized' }, text)
  header({ name: 'sized' }).copy(whole)
  return whole
}

/** A case that fails is printed short, to be unpacked by `base64 -d | gunzip`. */
function printable(archive: Buffer): Buffer {
  return Object.assign(archive, { [fc.toStringMethod]: () => gzipSync(archive).toString('base64') })
}
