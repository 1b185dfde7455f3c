import { execFileSync, spawnSync } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { hexOf } from '@aether/contract/digest'
import { test } from 'tap'
import { digestFile, PackError, packFolder } from './pack.ts'
import { createSigningPair, parseSigningKey, signDigest } from './sign.ts'

const app = {
  'server.js': 'console.log(1)\n',
  'package.json': '{}',
  bin: { run: '#!/bin/sh\n' },
  empty: {},
  names: { '@scope': { '-rf': 'dash', '@file': 'at' }, 'ä ö 🚀': 'utf-8', "it's $HOME `x` \\ *": 'odd' },
  '-C': 'option-like',
  '@list': 'option-like',
}

/** `mode path -> link`, as GNU tar lists an archive. */
function listing(file: string): string[] {
  const rows = execFileSync('tar', ['-tvzf', file, '--quoting-style=literal', '--numeric-owner'], {
    encoding: 'utf8',
    env: { LC_ALL: 'C', TZ: 'UTC', PATH: process.env.PATH },
  })
  return rows
    .trimEnd()
    .split('\n')
    .map((row) => row.replace(/ +/g, ' '))
}

await test('a tree is packed to the same bytes each time, whatever its times, owners and group bits', async (t) => {
  const folder = t.testdir({ app, out: {} })
  const [source, out] = [join(folder, 'app'), join(folder, 'out')]
  chmodSync(join(source, 'bin/run'), 0o755)
  const first = await packFolder(source, join(out, 'deep/1.tar.gz'))
  for (const path of ['server.js', 'bin', 'bin/run', '.']) utimesSync(join(source, path), new Date(), new Date(1e12))
  for (const [path, mode] of [
    ['server.js', 0o664],
    ['package.json', 0o600],
    ['bin/run', 0o777],
    ['bin', 0o775],
  ] as const)
    chmodSync(join(source, path), mode)
  const second = await packFolder(source, join(out, '2.tar.gz'))
  t.equal(second.digest, first.digest)
  t.ok(readFileSync(first.file).equals(readFileSync(second.file)))
  t.match(first, { entries: 13, bytes: readFileSync(first.file).length })
  t.strictSame(await digestFile(first.file), { digest: first.digest, bytes: first.bytes })
  t.match(execFileSync('sha256sum', [first.file], { encoding: 'utf8' }), hexOf(first.digest), 'as sha256sum prints it')
  t.strictSame(readdirSync(out).toSorted(), ['2.tar.gz', 'deep'], 'no temporary file is left')

  writeFileSync(join(source, 'server.js'), 'console.log(2)\n')
  t.not((await packFolder(source, join(out, '3.tar.gz'))).digest, first.digest)
})

await test('what is packed is what was there: names, bytes, execute bits and links', async (t) => {
  const folder = t.testdir({ app, theirs: {} })
  const source = join(folder, 'app')
  chmodSync(join(source, 'bin/run'), 0o4755)
  symlinkSync('../server.js', join(source, 'bin/link'))
  symlinkSync('bin', join(source, 'to-folder'))
  linkSync(join(source, 'server.js'), join(source, 'twin.js'))
  const long = `${'long-folder-name/'.repeat(12)}${'x'.repeat(120)}.js`
  mkdirSync(join(source, long, '..'), { recursive: true })
  writeFileSync(join(source, long), Buffer.alloc(1_200_000, 'large '))
  const { file } = await packFolder(source, join(folder, 'app.tar.gz'))
  execFileSync('tar', ['-xzf', file, '-C', join(folder, 'theirs')])
  t.equal(
    spawnSync('diff', ['-r', '--no-dereference', source, join(folder, 'theirs')], { encoding: 'utf8' }).stdout,
    '',
  )

  const rows = listing(file)
  t.ok(
    rows.every((row) => / 1970-01-01 00:00 /.test(row)),
    'no times',
  )
  t.ok(
    rows.every((row) => / 0\/0 /.test(row)),
    'no owners',
  )
  t.ok(
    rows.every((row) => /^(-rwxr-xr-x|-rw-r--r--|drwxr-xr-x|lrwxr-xr-x|hrw-r--r--) /.test(row)),
    rows.join('\n'),
  )
  t.ok(
    rows.some((row) => /^-rwxr-xr-x .* bin\/run$/.test(row)),
    'setuid goes, the execute bit stays',
  )
  t.ok(rows.some((row) => row.endsWith(' bin/link -> ../server.js')))
  t.notOk(
    rows.some((row) => row.includes(' ./')),
    'names are clean',
  )
})

await test('a folder that makes no release is refused, and no file appears', async (t) => {
  const folder = t.testdir({ empty: { sub: {} }, fifo: { 'server.js': '' }, socket: { 'server.js': '' } })
  const out = join(folder, 'x.tar.gz')
  await t.rejects(packFolder(join(folder, 'empty'), out), {
    name: 'PackError',
    message: /holds no file: pack the folder of an app/,
  })
  execFileSync('mkfifo', [join(folder, 'fifo/pipe')])
  await t.rejects(packFolder(join(folder, 'fifo'), out), PackError)
  await t.rejects(packFolder(join(folder, 'fifo'), out), {
    message: /^pipe is neither file, folder nor symlink: leave it out/,
  })
  const server = createServer()
  t.teardown(() => server.close())
  const here = process.cwd()
  process.chdir(join(folder, 'socket')) // a socket's path may have no more than 107 bytes
  await new Promise<void>((resolve) => server.listen('s', resolve))
  process.chdir(here)
  await t.rejects(packFolder(join(folder, 'socket'), out), { message: /^s is neither/ })
  await t.rejects(packFolder(join(folder, 'nowhere'), out), { code: 'ENOENT' })
  t.strictSame(readdirSync(folder).toSorted(), ['empty', 'fifo', 'socket'])
})

await test('a signature over the digest holds for node:crypto and for ed25519-verify', async (t) => {
  const folder = t.testdir({ app })
  const { digest } = await packFolder(join(folder, 'app'), join(folder, 'app.tar.gz'))
  const pair = createSigningPair()
  const signature = signDigest(digest, parseSigningKey(pair.privatePem))
  t.match(signature, /^[0-9a-f]{128}$/)
  t.equal(signature, signDigest(digest, pair.privateKey), 'ed25519 is deterministic')
  t.ok(verify(null, Buffer.from(hexOf(digest)), createPublicKey(pair.publicPem), Buffer.from(signature, 'hex')))
  const main = new URL('../agents/verifier/main.ts', import.meta.url).pathname
  const ran = (key: string) =>
    spawnSync(process.execPath, [main, `--key=${key}`, signature], { input: hexOf(digest), env: {} }).status
  t.equal(ran(pair.publicPem), 0)
  t.equal(ran(createSigningPair().publicPem), 1)
})

await test('a signing key that is none is refused without being repeated', async (t) => {
  const { publicPem, privatePem } = createSigningPair()
  const secret = privatePem.split('\n')[1] ?? ''
  for (const text of ['', 'hunter2', publicPem, privatePem.replace('BEGIN', 'BEG'), secret]) {
    t.throws(() => parseSigningKey(text))
    t.throws(() => parseSigningKey(text), { message: new RegExp(`^(?!.*(hunter2|${secret.replaceAll('+', '\\+')}))`) })
  }
  const ec = execFileSync(
    process.execPath,
    ['-p', "crypto.generateKeyPairSync('ec',{namedCurve:'P-256'}).privateKey.export({type:'pkcs8',format:'pem'})"],
    { encoding: 'utf8', env: {} },
  )
  t.throws(() => parseSigningKey(ec), { message: /not an ed25519 private key in PEM/ })
})
