// What we unpack is what GNU tar unpacks: path, type, bytes, execute bit, link target.
import { execFileSync } from 'node:child_process'
import { lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createWorld, listTree } from './test-kit.ts'
import { endMark, file, header, packed, pax, sealed, symlink } from './test-tar.ts'
import { plant } from './test-tree.ts'

const tar = (...args: readonly string[]) => execFileSync('tar', args, { stdio: ['ignore', 'pipe', 'pipe'] })

const forms = {
  gnu: ['--format=gnu'],
  pax: ['--format=pax'],
  ustar: ['--format=ustar'],
  v7: ['--format=v7'],
  'pax of a single name each': ['--format=pax', '--hard-dereference'],
  'gnu, sorted and owned by nobody': ['--format=gnu', '--sort=name', '--owner=0', '--group=0', '--mtime=@0'],
  'pax with extended attributes': ['--format=pax', '--xattrs', '--pax-option=comment=hello'],
  'pax with global records': ['--format=pax', '--pax-option=globexthdr.name=g,comment:=x'],
}

for (const [name, options] of Object.entries(forms))
  await test(`an archive of tar, ${name}, becomes the tree that tar makes of it`, async (t) => {
    const root = t.testdir({ source: {}, theirs: {}, volume: {} })
    // ustar cannot hold all of the long names.
    plant(join(root, 'source'), name !== 'v7' && name !== 'ustar')
    const archive = join(root, 'app.tar.gz')
    tar('-czf', archive, ...options, '-C', join(root, 'source'), '.')
    tar('-xzf', archive, '-C', join(root, 'theirs'))
    const world = await createWorld(t, {}, join(root, 'volume'))
    await world.take(world.publish(readFileSync(archive)))
    const ours = listTree(join(world.layout.workspace, 'current'))
    t.strictSame(ours, listTree(join(root, 'theirs')))
    t.strictSame(ours, listTree(join(root, 'source')))
    t.ok(ours.length > 20)
  })

await test('two gzip members and many zero blocks at the end are one archive', async (t) => {
  const world = await createWorld(t)
  const bytes = Buffer.concat([packed(file('a')), packed(file('b'), endMark, Buffer.alloc(10_240))])
  await world.take(world.publish(bytes))
  t.match(listTree(join(world.layout.workspace, 'current')), [/^a - /, /^b - /])
})

await test('a PAX name and size beat those of the header', async (t) => {
  const world = await createWorld(t)
  const content = Buffer.concat([header({ name: 'x', size: 0 }), Buffer.alloc(512, 'c')])
  await world.take(world.publish(packed(pax({ path: 'named', size: '512' }), content, file('next'), endMark)))
  t.match(listTree(join(world.layout.workspace, 'current')), [/^named - /, /^next - /])
})

await test('modes become 0755 or 0644 and folders 0775 less the umask, whatever the archive says', async (t) => {
  const world = await createWorld(t)
  const rows = { a: 0o777, b: 0o666, c: 0o400, d: 0o100, e: 0 }
  const files = Object.entries(rows).map(([name, mode]) => header({ name, mode }))
  const umask = process.umask(0)
  t.teardown(() => process.umask(umask))
  await world.take(
    world.publish(packed(header({ name: 'sub/', type: '5', mode: 0o700 }), ...files, symlink('l', 'a'), endMark)),
  )
  const mode = (path: string) => (lstatSync(`${world.layout.workspace}/current/${path}`).mode & 0o7777).toString(8)
  t.strictSame(['a', 'b', 'c', 'd', 'e', 'sub', '.'].map(mode), ['755', '644', '644', '755', '644', '775', '775'])
})

await test('what GNU tar reads beyond the letter of the format is read alike', async (t) => {
  const attributes = pax({ 'SCHILY.xattr.user.odd': 'NN' })
  const at = attributes.indexOf('NN')
  attributes.fill(0xff, at, at + 2) // no UTF-8
  const parts = [
    attributes,
    file('with-attributes'),
    header({ name: 'folder-of-type-7/', type: '7' }),
    header({ name: 'folder-of-type-nul/', type: '\0' }),
    sealed(header({ name: 'short', magic: 'ustar\0  ' }).fill('p', 345, 347)),
  ]
  const root = t.testdir({ theirs: {}, volume: {} })
  const world = await createWorld(t, {}, join(root, 'volume'))
  await world.take(world.publish(packed(...parts, endMark)))
  execFileSync('tar', ['-xzf', '-', '-C', join(root, 'theirs')], { input: packed(...parts, endMark) })
  const ours = listTree(join(world.layout.workspace, 'current'))
  t.strictSame(ours, listTree(join(root, 'theirs')))
  t.match(ours, [/^folder-of-type-7\/$/, /^folder-of-type-nul\/$/, /^pp\/$/, /^pp\/short - /, /^with-attributes - /])
})
