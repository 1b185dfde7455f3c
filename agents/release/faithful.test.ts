// What we unpack is what GNU tar unpacks: path, type, bytes, execute bit, link target.
import { execFileSync } from 'node:child_process'
import { chmodSync, linkSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createWorld, listTree } from './test-kit.ts'
import { endMark, file, header, packed, pax, symlink } from './test-tar.ts'

const tar = (...args: readonly string[]) => execFileSync('tar', args, { stdio: ['ignore', 'pipe', 'pipe'] })

/** A tree with all that a release may hold; v7 knows no names longer than 99 bytes. */
function plant(root: string, longNames: boolean): void {
  const put = (path: string, content: string | Uint8Array, mode = 0o644) => {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), content)
    chmodSync(join(root, path), mode)
  }
  put('server.js', 'console.log(1)\n')
  put('bin/run', '#!/bin/sh\n', 0o755)
  put('bin/group-writable', 'x', 0o775)
  put('private', 'owner only', 0o600)
  put('empty.txt', '')
  put('exactly-a-block', Buffer.alloc(512, 'b'))
  put('large.bin', Buffer.alloc(1_300_001, 'pattern '))
  put('names/äöü – 日本 🚀.txt', 'utf-8')
  put('names/with space, "quote", \\backslash\\ and [brackets]*', 'odd')
  put('names/@scope/-dash', 'option-like')
  put('names/Case', 'upper')
  put('names/case', 'lower')
  if (longNames) {
    put(`names/${'long'.repeat(50)}.txt`, 'a name of 204 bytes')
    put(`${'folder-of-some-length/'.repeat(14)}leaf.js`, 'a path of 315 bytes')
    put(`${'folder-of-some-length/'.repeat(6)}mid.js`, 'fits the prefix of ustar')
  }
  mkdirSync(join(root, 'empty/nested'), { recursive: true })
  symlinkSync('../server.js', join(root, 'bin/link'))
  symlinkSync('bin', join(root, 'to-folder'))
  symlinkSync('not/there/yet', join(root, 'dangling'))
  symlinkSync('./to-folder/../bin/./run', join(root, 'winding'))
  if (longNames) symlinkSync(`names/${'long'.repeat(50)}.txt`, join(root, 'to-long'))
  linkSync(join(root, 'server.js'), join(root, 'twin.js'))
  linkSync(join(root, 'bin/run'), join(root, 'zz-run'))
}

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

await test('the last of a PAX and a GNU name counts, and a PAX size beats the one of the header', async (t) => {
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
