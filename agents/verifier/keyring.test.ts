import { spawnSync } from 'node:child_process'
import { sign } from 'node:crypto'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createKeyring } from './keyring.ts'
import { messageOf, newDigest, newPair, onlyKey } from './test-kit.ts'

const identity = `01${'00'.repeat(31)}` // a point of order 1

await test('keys rotate by a swap of ..data, as Kubernetes does it, and overlap', async (t) => {
  const folder = t.testdir()
  const [old, next] = [newPair(), newPair()]
  const swap = (version: string, files: Record<string, string>) => {
    mkdirSync(join(folder, version))
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder, version, name), text)
      rmSync(join(folder, name), { force: true })
      symlinkSync(`..data/${name}`, join(folder, name))
    }
    symlinkSync(version, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  const keyring = createKeyring(folder, 'AETHER_PUBKEY')
  const ids = async () => (await keyring.load()).keys.map((key) => key.id)
  await t.rejects(keyring.load(), { reason: 'key', detail: 'missing', message: /AETHER_PUBKEY names .*holds no key/ })
  swap('..1', { 'a.pem': old.pem })
  t.strictSame(await ids(), [onlyKey(old.hex).id])
  swap('..2', { 'a.pem': old.pem, 'b.hex': next.hex })
  t.strictSame(await ids(), [onlyKey(old.hex).id, onlyKey(next.hex).id])
  rmSync(join(folder, 'a.pem'))
  swap('..3', { 'b.hex': next.hex })
  t.strictSame(await ids(), [onlyKey(next.hex).id])
})

await test('a bad file among good ones is a fault, not the end; with no good one it is', async (t) => {
  const { hex } = newPair()
  const bad = {
    weak: identity,
    short: 'abcd',
    huge: 'a'.repeat(70_000),
    lost: t.fixture('symlink', 'gone'),
  }
  const folder = t.testdir({ mixed: { ...bad, folder: {}, good: hex, '.hidden': 'junk' }, bad, file: hex })
  const { keys, faults } = await createKeyring(join(folder, 'mixed'), 'AETHER_PUBKEY').load()
  t.strictSame(
    keys.map((key) => key.id),
    [onlyKey(hex).id],
  )
  t.strictSame(faults.map((fault) => `${fault.reason}/${fault.detail}`).toSorted(), [
    'key/length',
    'key/malformed',
    'key/unreadable',
    'key/unreadable',
    'key/weak',
  ])
  await t.rejects(createKeyring(join(folder, 'bad'), 'AETHER_PUBKEY').load(), { reason: 'key', message: /./ })
  t.equal((await createKeyring(join(folder, 'file'), 'AETHER_PUBKEY').load()).keys.length, 1)
  await t.rejects(createKeyring(join(folder, 'none'), 'AETHER_PUBKEY').load(), {
    reason: 'key',
    detail: 'unreadable',
    message: /AETHER_PUBKEY.*Secret/,
  })
  t.throws(() => createKeyring('junk!', 'AETHER_PUBKEY'), { reason: 'key', message: /./ }, 'text is parsed at once')
})

await test('ed25519-verify exits 0 where it holds, 1 where it does not, 2 on wrong usage', async (t) => {
  const [pair, other] = [newPair(), newPair()]
  const digest = newDigest()
  const signature = sign(null, messageOf(digest), pair.privateKey).toString('base64')
  const keyFile = join(t.testdir({ 'key.pem': pair.pem }), 'key.pem')
  const stdin = messageOf(digest).toString()
  const main = new URL('./main.ts', import.meta.url).pathname
  const runs = (args: readonly string[], input = stdin, env: Record<string, string> = {}) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { input, env, encoding: 'utf8' })
    return { status, stdout, stderr }
  }
  t.match(runs(['--key', pair.hex, signature]), { status: 0, stdout: /^valid under key [0-9a-f]{16}\n$/, stderr: '' })
  t.match(runs([signature], `${stdin}\n`, { AETHER_PUBKEY: pair.base64 }), { status: 0 })
  t.match(runs([signature], stdin, { AETHER_PUBKEY: keyFile }), { status: 0 })
  t.match(runs(['--key', keyFile, signature], stdin, { AETHER_PUBKEY: other.hex }), { status: 0 }, 'the flag wins')
  t.match(runs(['--key', other.hex, signature]), { status: 1, stdout: '', stderr: /does not hold for sha256:/ })
  t.match(runs(['--key', pair.hex, signature], messageOf(newDigest()).toString()), { status: 1 })
  t.match(runs(['--key', pair.hex, 'abcd']), { status: 1, stderr: /64 bytes/ })
  t.match(runs(['--key', pair.hex, signature], 'garbage\0\xff'.repeat(1000)), {
    status: 2,
    stderr: /stdin is "sha256:garbage.*write sha256: and 64/,
  })
  t.match(runs(['--key', pair.hex, signature], ''), { status: 2, stderr: /stdin/ })
  t.match(runs(['--key', pair.hex, signature], digest), { status: 0 }, 'sha256: in front is taken too')
  t.match(runs([signature]), { status: 2, stderr: /usage: / })
  t.match(runs(['--key', pair.hex]), { status: 2, stderr: /usage: / })
  t.match(runs(['--key', pair.hex, signature, 'more']), { status: 2 })
  t.match(runs(['--nonsense', signature]), { status: 2, stderr: /usage: / })
  t.match(runs(['--key', identity, signature]), { status: 2, stderr: /small or mixed order/ })
  t.match(runs(['--key', '/nowhere', signature]), { status: 2, stderr: /--key names \/nowhere/ })
  t.match(runs(['--help']), { status: 0, stdout: /usage: .*Exit codes: 0/s })
})
