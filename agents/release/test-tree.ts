// For tests: a tree with all that a release may hold.
import { chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Without `longNames` it fits v7 too, which knows no names longer than 99 bytes. */
export function plant(root: string, longNames: boolean): void {
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
  put('node_modules/.pnpm/dep@1.0.0/node_modules/dep/index.js', 'as pnpm lays it out')
  symlinkSync('.pnpm/dep@1.0.0/node_modules/dep', join(root, 'node_modules/dep'))
  mkdirSync(join(root, 'node_modules/.pnpm/peer@2.0.0/node_modules'), { recursive: true })
  symlinkSync('../../dep@1.0.0/node_modules/dep', join(root, 'node_modules/.pnpm/peer@2.0.0/node_modules/dep'))
  if (longNames) symlinkSync(`names/${'long'.repeat(50)}.txt`, join(root, 'to-long'))
  linkSync(join(root, 'server.js'), join(root, 'twin.js'))
  linkSync(join(root, 'bin/run'), join(root, 'zz-run'))
}
