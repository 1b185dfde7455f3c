// The two trees of the vectors: each odd thing that the format has a word for, and a change of each kind.
import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Planted, plant } from './test-trees.ts'

const file = (content: string | Uint8Array, executable = false): Planted => ({ kind: 'file', content, executable })
const text = (name: string) => Buffer.from(name).toString('latin1')

export function plantFirst(root: string): void {
  const put = (path: string, item: Planted) => plant(root, path, item)
  put('server.js', file('console.log(1)\n'))
  put('package.json', file('{"name":"shop","main":"server.js"}\n'))
  put('bin/run', file('#!/bin/sh\nexec node server.js\n', true))
  put('bin/twin', file('#!/bin/sh\nexec node server.js\n'))
  put('bin/current', { kind: 'link', to: '../server.js' })
  put('empty', { kind: 'folder' })
  put('empty.txt', file(''))
  // `a-` is before `a/` by whole paths, and behind the folder `a` by names.
  put('order/a/z', file('1'))
  put('order/a-', file('2'))
  put('order/a.b', file('3'))
  // By UTF-16 units the second would be first.
  put(text('order/\uff5e'), file('4'))
  put(text('order/\u{1f680}'), file('5'))
  put('order/\xff\xfe', file('no text'))
  put(`long/${'folder-of-some-length/'.repeat(6)}prefix.js`, file('6'))
  put(`long/${'folder-of-some-length/'.repeat(14)}pax.js`, file('7'))
  put('long/link', { kind: 'link', to: `${'folder-of-some-length/'.repeat(6)}prefix.js` })
  put('large.bin', file(Buffer.alloc(2_500_000, 'pattern ')))
  for (let at = 0; at < 140; at++) put(`many/file-${at}.js`, file(`export const part = ${at % 10}\n`))
  for (let at = 0; at < 128; at++) put(`full/${at}`, file(''))
}

export function plantSecond(root: string): void {
  const put = (path: string, item: Planted) => plant(root, path, item)
  put('server.js', file('console.log(2)\n'))
  put('bin/run', file('#!/bin/sh\nexec node server.js\n'))
  put('bin/current', { kind: 'link', to: 'run' })
  put('empty', file('a file where a folder was'))
  rmSync(join(root, 'empty.txt'))
  put('empty.txt/now', file('a folder where a file was'))
  renameSync(join(root, 'order'), join(root, 'moved'))
  put('many/file-15b.js', file('export const part = 11\n'))
  put('full/128', file('one more than fits'))
  rmSync(join(root, 'package.json'))
}
