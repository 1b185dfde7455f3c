// Archives as nobody packs them by accident. Each is signed and has the right digest: only its content is wrong.
import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import { refusesAll } from './test-refusals.ts'
import { endMark, entry, file, header, packed, pax, release, sealed, symlink } from './test-tar.ts'

const whole = (...parts: readonly Uint8Array[]) => packed(...parts, endMark)
const good = release('good')

await test('what is no whole tar archive is refused', (t) =>
  refusesAll(t, {
    'gzip of text': ['not_tar', gzipSync('x'.repeat(600)), /checksum/],
    'gzip of nothing': ['truncated', gzipSync('')],
    'gzip of less than a block': ['truncated', gzipSync('short')],
    'no end mark': ['truncated', packed(file('a')), /end mark/],
    'half an end mark': ['truncated', packed(file('a'), Buffer.alloc(512))],
    'an end mark and a bit': ['truncated', packed(file('a'), endMark, Buffer.alloc(100))],
    'cut in a header': ['truncated', packed(file('a').subarray(0, 200))],
    'cut in a file': ['truncated', packed(entry({ name: 'a' }, 'x'.repeat(900)).subarray(0, 1000))],
    'cut in the padding of a file': ['truncated', packed(file('a').subarray(0, 900))],
    'a file that claims more than there is': ['truncated', whole(entry({ name: 'a', size: 1_000_000 }, 'x'))],
    'text after the end mark': ['not_tar', packed(file('a'), endMark, Buffer.alloc(512, 'x')), /after its end mark/],
    'an entry after the end mark': ['not_tar', whole(file('a'), endMark, file('b'))],
    'an entry after half an end mark': ['not_tar', whole(file('a'), Buffer.alloc(512), file('b'))],
    'a second archive in a gzip member of its own': ['not_tar', Buffer.concat([good, good]), /after its end mark/],
    'a header with a wrong checksum': ['not_tar', whole(header({ name: 'a' }).fill('z', 0, 1)), /^the first header/],
    'a later header with a wrong checksum': [
      'not_tar',
      whole(file('ok.js'), header({ name: 'a' }).fill('z', 0, 1)),
      /the header after "ok\.js" has the wrong checksum/,
    ],
    'a checksum of letters': [
      'not_tar',
      whole(header({ name: 'a' }).fill('x', 148, 156)),
      /checksum that is no number/,
    ],
    'a mode of letters': ['not_tar', whole(withField(100, 'rwxr-x\0')), /first header .* has a mode/],
    'a negative mode': ['not_tar', whole(withField(100, '-644\0'))],
    'a negative octal size': ['not_tar', whole(withField(124, '-1\0'))],
    'a PAX size below zero': ['not_tar', whole(pax({ size: '-5' }), file('a'))],
    'a PAX size beyond all numbers': ['not_tar', whole(pax({ size: '9'.repeat(20) }), file('a'))],
    'a PAX size that is empty': ['not_tar', whole(pax({ size: '' }), file('a'))],
    'a long name with no entry': [
      'not_tar',
      whole(file('a'), entry({ name: 'L', type: 'L' }, 'b\0')),
      /after "a" .* does not follow/,
    ],
    'two PAX names for one entry': [
      'not_tar',
      whole(pax({ path: 'x' }), pax({ path: 'y' }), file('a')),
      /a second path/,
    ],
    'two PAX headers for one entry': [
      'not_tar',
      whole(pax({ path: 'x' }), pax({ mtime: '1' }), file('a')),
      /second PAX header/,
    ],
    'a blank size': ['not_tar', whole(withField(124, ' '.repeat(12)))],
    'a GNU and a PAX name for one entry': [
      'not_tar',
      whole(entry({ name: 'L', type: 'L' }, 'x\0'), pax({ path: 'y' }), file('a')),
      /a second path/,
    ],
    'two GNU link targets for one entry': [
      'not_tar',
      whole(entry({ name: 'K', type: 'K' }, 'x\0'), entry({ name: 'K', type: 'K' }, 'y\0'), symlink('a', 'b')),
      /a second link/,
    ],
    'a GNU name that goes on in its padding': [
      'not_tar',
      whole(entry({ name: 'L', type: 'L', size: 3 }, 'abcdef'), file('a')),
      /goes on behind its end/,
    ],
    'an empty PAX name': ['not_tar', whole(pax({ path: '' }), file('a')), /an empty path/],
    'an empty GNU name': ['not_tar', whole(entry({ name: 'L', type: 'L' }, '\0'), file('a')), /an empty path/],
    'a size of letters': ['not_tar', whole(withField(124, 'abc\0'))],
    'a negative size': ['not_tar', whole(withField(124, '\xff'.repeat(12)))],
    'a size beyond all numbers': ['not_tar', whole(withField(124, '\x80\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff'))],
    'a PAX size of letters': ['not_tar', whole(pax({ size: 'abc' }), file('a'))],
    'PAX records that do not add up': ['not_tar', whole(entry({ name: 'p', type: 'x' }, '99 path=a\n'), file('a'))],
    'a PAX record with no value': ['not_tar', whole(entry({ name: 'p', type: 'x' }, '7 path\n'), file('a'))],
    'a PAX record with length zero': ['not_tar', whole(entry({ name: 'p', type: 'x' }, '0 path=a\n'), file('a'))],
  }))

await test('a name that leaves the release is refused', (t) =>
  refusesAll(t, {
    'up and out': ['path_escape', whole(file('../out')), /"\.\.\/out" leaves the release/],
    'up in the middle': ['path_escape', whole(file('a/../../out'))],
    'up, though it would stay inside': ['path_escape', whole(file('a/../b'))],
    'a folder up and out': ['path_escape', whole(header({ name: '../out/', type: '5' }))],
    'an absolute file': ['path_escape', whole(file('/etc/cron.d/evil')), /absolute/],
    'an absolute folder': ['path_escape', whole(header({ name: '/tmp/evil/', type: '5' }))],
    'an absolute name from a PAX record': ['path_escape', whole(pax({ path: '/etc/evil' }), file('a'))],
    'up and out from a GNU long name': ['path_escape', whole(entry({ name: 'L', type: 'L' }, '../out\0'), file('a'))],
    'up and out by the ustar prefix': ['path_escape', whole(withField(345, '../..'))],
    'the root itself as a file': ['path_escape', whole(file('./'.slice(0, 1)))],
    'through a symlink': ['path_escape', whole(symlink('in', 'lib'), file('in/x')), /"in", which is a link/],
    'through a file': ['path_escape', whole(file('a'), file('a/b'))],
  }))

await test('a link that leaves the release is refused, whatever the order of its parts', (t) =>
  refusesAll(t, {
    'a symlink to an absolute path': ['link_escape', whole(symlink('a', '/etc/passwd'))],
    'a symlink up and out': ['link_escape', whole(symlink('a', '../x')), /"a" is a symlink to "\.\.\/x"/],
    'a symlink up and out of a folder': ['link_escape', whole(symlink('d/a', '../../x'))],
    'a symlink out by way of a folder': ['link_escape', whole(symlink('a', 'd/../../x'))],
    'a symlink to nothing': ['link_escape', whole(header({ name: 'a', type: '2' }))],
    'a chain: cur -> ., par -> cur/..': ['link_escape', whole(symlink('cur', '.'), symlink('par', 'cur/..'))],
    'the chain the other way round': ['link_escape', whole(symlink('par', 'cur/..'), symlink('cur', '.'))],
    'a chain over a folder': ['link_escape', whole(symlink('d/e/up', '../..'), symlink('out', 'd/e/up/..'))],
    'that chain the other way round': ['link_escape', whole(symlink('out', 'd/e/up/..'), symlink('d/e/up', '../..'))],
    'a hard link to an absolute path': ['path_escape', whole(hard('a', '/etc/passwd'))],
    'a hard link up and out': ['path_escape', whole(hard('a', '../../state.json'))],
    'a hard link to a later file': ['link_escape', whole(hard('a', 'b'), file('b')), /no earlier file/],
    'a hard link to a symlink': ['link_escape', whole(symlink('s', 'b'), file('b'), hard('a', 's'))],
    'a hard link to a folder': ['link_escape', whole(header({ name: 'd/', type: '5' }), hard('a', 'd'))],
    'a hard link to a file, said as a folder': [
      'link_escape',
      whole(file('f'), hard('a', 'f/')),
      /"f\/", which names a folder/,
    ],
    'a hard link through a symlink': ['link_escape', whole(file('d/f'), symlink('s', 'd'), hard('a', 's/f'))],
  }))

await test('kinds of entries that a release has no use for are refused, not dropped', (t) =>
  refusesAll(t, {
    'a character device': ['unsupported_entry', whole(header({ name: 'null', type: '3' })), /files, folders and links/],
    'a block device': ['unsupported_entry', whole(header({ name: 'sda', type: '4' }))],
    'a FIFO': ['unsupported_entry', whole(header({ name: 'pipe', type: '6' }))],
    'a GNU sparse file': ['unsupported_entry', whole(entry({ name: 'holes', type: 'S' }, 'x'))],
    'a PAX sparse file': ['unsupported_entry', whole(pax({ 'GNU.sparse.major': '1' }), file('holes')), /GNU\.sparse/],
    'an old PAX sparse file': ['unsupported_entry', whole(pax({ 'GNU.sparse.size': '9' }), file('holes'))],
    'a volume label': ['unsupported_entry', whole(header({ name: 'label', type: 'V' }))],
    'a multi-volume part': ['unsupported_entry', whole(header({ name: 'part', type: 'M' }))],
    'an incremental folder': ['unsupported_entry', whole(header({ name: 'd/', type: 'D' }))],
    'an unknown type': ['unsupported_entry', whole(header({ name: 'a', type: '@' }))],
    'a name for all entries': ['unsupported_entry', whole(pax({ path: 'x' }, 'g'), file('a'))],
    setuid: ['unsupported_entry', whole(header({ name: 'su', mode: 0o4755 })), /setuid/],
    setgid: ['unsupported_entry', whole(header({ name: 'sg', mode: 0o2755 }))],
    'a sticky folder': ['unsupported_entry', whole(header({ name: 'tmp/', type: '5', mode: 0o1777 }))],
    'a folder with content': ['unsupported_entry', whole(entry({ name: 'd/', type: '5' }, 'x'))],
    'a symlink with content': ['unsupported_entry', whole(entry({ name: 's', type: '2', link: 'x' }, 'x'))],
    'a line break in a name': ['unsupported_entry', whole(file('a\nREFRESH_OK')), /control characters/],
    'an escape character in a name': ['unsupported_entry', whole(file('a\x1b[2J'))],
    'an eight-bit control character in a name': ['unsupported_entry', whole(file('a\x9b2J'))],
    'a file that is said as a folder': ['unsupported_entry', whole(file('d/.')), /"d\/\." is the name of a folder/],
    'a size for all entries': ['unsupported_entry', whole(pax({ size: '1' }, 'g'), file('a')), /the PAX record "size"/],
    'a link target for all entries': ['unsupported_entry', whole(pax({ linkpath: 'x' }, 'g'), symlink('a', 'b'))],
    'a Solaris extended header': ['unsupported_entry', whole(entry({ name: 'X', type: 'X' }, 'x'), file('a'))],
    'a NUL in a PAX name': ['unsupported_entry', whole(pax({ path: 'a\0b' }), file('x'))],
    'a control character in a link': ['link_escape', whole(symlink('a', 'b\n'))],
    'a name that is not UTF-8': ['unsupported_entry', whole(withField(0, 'caf\xe9')), /UTF-8/],
    'no name': ['unsupported_entry', whole(file(''))],
  }))

await test('a path that stands twice is refused', (t) =>
  refusesAll(t, {
    'two files': ['duplicate', whole(file('a'), file('a')), /"a" stands twice/],
    'two spellings of one file': ['duplicate', whole(file('d/a'), file('./d//a'))],
    'a file where a folder is': ['duplicate', whole(file('d/a'), file('d'))],
    'a symlink where a file is': ['duplicate', whole(file('a'), symlink('a', 'b'))],
    'a folder where a symlink is': ['duplicate', whole(symlink('a', 'b'), header({ name: 'a/', type: '5' }))],
    'a hard link to itself': ['duplicate', whole(file('a'), hard('a', 'a'))],
  }))

await test('what would use up the volume, the memory or the time is refused', async (t) => {
  const deep = `${'d/'.repeat(65)}f`
  const many = Array.from({ length: 1001 }, (_, i) => header({ name: `f${i}` }))
  const maze = [symlink('m', '.'), ...Array.from({ length: 900 }, (_, i) => mazeLink(`l${i}`))]
  await refusesAll(t, {
    'too many entries': ['limit', whole(...many), /more than 1000 entries at "f1000"/],
    'too many folders that are only implied': ['limit', whole(...many.map((_, i) => header({ name: `d${i}/f` })))],
    'too deep': ['limit', whole(pax({ path: deep }), file('x')), /deeper than 64/],
    'a name too long for the kernel': ['limit', whole(pax({ path: 'x'.repeat(256) }), file('x')), /255 bytes/],
    'a path too long for the kernel': [
      'limit',
      whole(pax({ path: `${'x'.repeat(200)}/`.repeat(20) + 'f' }), file('x')),
    ],
    'a link too long for the kernel': ['limit', whole(pax({ linkpath: 'a/'.repeat(500_000) }), symlink('a', 'x'))],
    'a maze of links': ['limit', whole(...maze), /links/],
    'a release too large': ['limit', whole(entry({ name: 'a', size: 33 * 1024 * 1024 })), /AETHER_MAX_UNPACKED_BYTES/],
    'parts that are too large together': ['limit', whole(zeros('a'), zeros('b'), zeros('c'))],
    'metadata too large': ['limit', whole(entry({ name: 'p', type: 'x' }, Buffer.alloc(1024 * 1024 + 1)), file('a'))],
    'metadata too large together': [
      'limit',
      whole(...Array.from({ length: 3 }, manyRecords), file('a')),
      /AETHER_MAX_METADATA_BYTES/,
    ],
    'a file larger than numbers are exact': ['limit', whole(pax({ size: '999999999999999' }), file('a'))],
  })
})

await test('caps that are set are kept', async (t) => {
  await refusesAll(
    t,
    {
      'a path too long': ['limit', whole(file('abcdefgh/ijklmnop')), /"abcdefgh\/ijklmnop" .*AETHER_MAX_PATH_BYTES/],
      'a path too long in bytes': ['limit', whole(file('éééééééééé'))],
      'a link too long': ['limit', whole(symlink('a', 'abcdefgh/ijklmnop')), /"a" .*AETHER_MAX_PATH_BYTES/],
      'too deep': ['limit', whole(file('a/b/c/d')), /"a\/b\/c\/d" .*AETHER_MAX_DEPTH/],
    },
    { maxPathBytes: 15, maxDepth: 3 },
  )
  await t.test('zeros that pack to next to nothing', (each) =>
    refusesAll(
      each,
      {
        'a ratio of a thousand': ['limit', whole(zeros('a', 70)), /200 times its bytes: raise AETHER_MAX_UNPACK_RATIO/],
      },
      { maxUnpackedBytes: 256 * 1024 * 1024 },
    ),
  )
})

await test('names that a disk could take for one are refused where that is asked for', (t) =>
  refusesAll(
    t,
    {
      'two cases': [
        'duplicate',
        whole(file('JSONStream'), file('jsonstream')),
        /"jsonstream" and "JSONStream" differ only/,
      ],
      'two Unicode forms': ['duplicate', whole(file('caf\u00e9'), file('cafe\u0301'))],
      'folders that are only implied': [
        'duplicate',
        whole(file('Lib/a'), file('lib/b')),
        /AETHER_REFUSE_NAME_COLLISIONS/,
      ],
      'a sharp s': ['duplicate', whole(file('stra\u00dfe'), file('STRASSE'))],
    },
    { refuseCollisions: true },
  ))

function hard(name: string, link: string): Buffer {
  return header({ name, type: '1', link })
}

function zeros(name: string, mebibytes = 12): Buffer {
  return entry({ name }, Buffer.alloc(mebibytes * 1024 * 1024))
}

function manyRecords(): Buffer {
  return pax({ comment: 'x'.repeat(900_000) }, 'g')
}

/** Takes thousands of steps to resolve, and goes nowhere. */
function mazeLink(name: string): Buffer {
  return Buffer.concat([pax({ linkpath: `m/${'m/./'.repeat(30)}${'n/'.repeat(1600)}x` }), symlink(name, 'x')])
}

/** A header whose bytes at a place are these, with the checksum made right. */
function withField(at: number, bytes: string): Buffer {
  const block = header({ name: 'a' })
  block.write(bytes, at, 'latin1')
  return sealed(block)
}
