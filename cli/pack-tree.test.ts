// aether pack --tree and aether convert as processes: the files of a store.
import { execFileSync } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSigningPair } from '@aether/artifact/sign'
import { cliExitCodes } from '@aether/contract/exit-codes'
import { isObject } from '@aether/contract/json'
import { test } from 'tap'
import { app, packJson } from './test-pack.ts'
import { run } from './test-run.ts'

await test('--tree writes what a store serves: the root whose sha256 is the digest, a tar of all, an index, and deltas', async (t) => {
  const folder = t.testdir({ app: { ...app, 'big.js': '// the same as before\n'.repeat(5000) }, store: {} })
  const [source, store] = [join(folder, 'app'), join(folder, 'store')]
  const pair = createSigningPair()
  writeFileSync(join(folder, 'key.pem'), pair.privatePem, { mode: 0o600 })
  const pack = async (...args: readonly string[]) => {
    const env = { AETHER_SIGNING_KEY: join(folder, 'key.pem') }
    const ran = await run(t, ['pack', source, '--tree', '--output', 'json', ...args], { cwd: folder, env })
    t.equal(ran.code, 0, ran.stderr)
    const value = ran.json()
    return { ran, value: isObject(value) ? value : {} }
  }
  const { value: first } = await pack('--out', join(store, '1'))
  const root = readFileSync(join(store, '1/shop.tree'))
  const sum = execFileSync('sha256sum', [join(store, '1/shop.tree')], { encoding: 'utf8' }).slice(0, 64)
  t.equal(first['digest'], `sha256:${sum}`)
  t.equal(root.toString('latin1', 0, 14), 'aether-tree-1\0')
  const signature = Buffer.from(String(first['signature']), 'hex')
  t.ok(verify(null, Buffer.from(sum), createPublicKey(pair.publicPem), signature))
  t.match(first, { entries: 3, file: join(store, '1/shop.tree') })

  writeFileSync(join(source, 'server.js'), '// serves something else\n')
  const { value: second } = await pack('--out', join(store, '2'), '--from', join(store, '1/shop.tree'))
  const delta = `shop.tree.from-${sum}`
  t.strictSame(readdirSync(join(store, '2')).toSorted(), ['shop.tree', delta, 'shop.tree.full', 'shop.tree.index'])
  t.ok(readFileSync(join(store, '2', delta)).length < 500, 'one edited line')
  t.not(second['digest'], first['digest'])
  const again = await pack('--from', join(store, '2/shop.tree'))
  t.equal(again.value['digest'], second['digest'], 'by default into .aether, which is no part of the tree')
  t.match(again.ran.stderr, /is the same tree: there is nothing to move/)
  t.strictSame(readdirSync(join(source, '.aether')).toSorted(), [
    '.gitignore',
    'shop.tree',
    'shop.tree.full',
    'shop.tree.index',
  ])

  const refused = async (...args: readonly string[]) => run(t, ['pack', source, ...args], { cwd: folder })
  t.match(await refused('--from', 'store/1/shop.tree'), { code: cliExitCodes.usage, stderr: /--from is for a tree/ })
  t.match(await refused('--tree', '--from', 'gone.tree'), { code: cliExitCodes.io, stderr: /its \.index beside it/ })
  writeFileSync(join(store, '1/shop.tree.index'), readFileSync(join(store, '2/shop.tree.index')))
  const mixed = await refused('--tree', '--from', join(store, '1/shop.tree'))
  t.match(mixed, { code: cliExitCodes.failed, stderr: /asked for no more, or never was/ })
})

await test('convert makes of an archive the tree that --tree makes of its folder', async (t) => {
  const folder = t.testdir({ app: { ...app, bin: { run: '#!/bin/sh\n' } }, bad: {} })
  const source = join(folder, 'app')
  chmodSync(join(source, 'bin/run'), 0o755)
  symlinkSync('bin/run', join(source, 'link'))
  const archive = await packJson(t, source, '--out', join(folder, 'shop.tar.gz'))
  const tree = await packJson(t, source, '--tree', '--out', join(folder, 'trees'))
  const converted = await run(t, ['convert', 'shop.tar.gz', '--output', 'json'], { cwd: folder })
  t.match(converted.json(), { digest: tree['digest'], file: join(folder, 'shop.tree'), entries: 5 })
  t.not(archive['digest'], tree['digest'])
  const again = await run(t, ['convert', 'shop.tar.gz', '--out', 'x', '--from', 'shop.tree'], { cwd: folder })
  t.match(again, { code: 0, stderr: /the same tree/, stdout: /^file .*x\/shop\.tree\.full {2}/m })

  execFileSync('tar', ['-czf', join(folder, 'bad.tgz'), '-P', '--transform=s,^,../,', '-C', source, 'server.js'])
  const bad = await run(t, ['convert', 'bad.tgz', '--out', 'bad'], { cwd: folder })
  t.match(bad, { code: cliExitCodes.failed, stderr: /leaves the release by \.\.[^]*pods would refuse it too/ })
  t.strictSame(readdirSync(join(folder, 'bad')), [])
  t.match(await run(t, ['convert', 'gone.tar.gz'], { cwd: folder }), { code: cliExitCodes.io })
})
