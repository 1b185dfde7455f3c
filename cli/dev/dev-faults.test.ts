// aether dev and what goes wrong around it: control away, the folder gone, a full disk, and what cannot work from the start.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cliExitCodes } from '@aether/contract/exit-codes'
import { test } from 'tap'
import { eventually, startControl } from '../test-control.ts'
import { run } from '../test-run.ts'
import { leftIn, startDev, statusOf, world, write } from './test-dev.ts'

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'needs root: it mounts a small tmpfs' }

await test('control that is away is waited for; a folder that goes ends it', async (t) => {
  const { folder, env, control, data } = await world(t)
  control.playAgents()
  const dev = await startDev(t, folder, env)
  await control.stop()
  write(folder, 'server.js', '// 2\n')
  await eventually(() => dev.running.output().includes('it goes on by itself'), dev.running.output)
  t.match(dev.running.output(), /warning: control does not answer at .*ECONNREFUSED.*\n/)
  const port = new URL(control.url).port
  const again = await startControl(t, data, { AETHER_CONTROL_LISTEN_PORT: port })
  again.playAgents()
  t.match(await dev.next(), { outcome: 'serving', changed: ['server.js'] })
  renameSync(folder, `${folder}-away`)
  t.match(await dev.running.ended, {
    code: cliExitCodes.io,
    stderr: /app is gone\nnext: start aether dev where it is now/,
  })
})

await test(
  'a disk that is full is said, the last good release serves on, and it goes on by itself',
  needsRoot,
  async (t) => {
    const { folder, env, control } = await world(t)
    const volume = mkdtempSync(join(tmpdir(), 'aether-volume-'))
    const mount = (options: string) => execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', volume])
    mount('size=512k')
    t.teardown(() => {
      execFileSync('umount', ['-l', volume])
      rmSync(volume, { recursive: true })
    })
    control.playAgents()
    const dev = await startDev(t, folder, { ...env, TMPDIR: volume })
    write(folder, 'large.bin', 'x'.repeat(1024 ** 2))
    await eventually(() => dev.running.output().includes('it goes on by itself'), dev.running.output)
    t.match(dev.running.output(), /warning: .*(ENOSPC|no space left).*; it goes on by itself when that is over/)
    t.equal(await statusOf(t, folder, env), dev.last().digest)
    mount('remount,size=8m')
    t.match(await dev.next(), { outcome: 'serving', changed: ['large.bin'] })
  },
)

await test('what cannot work is said at once: no --hot, an unknown app, no token, no signature, and a second one', async (t) => {
  const { folder, env, control } = await world(t, {}, { AETHER_REQUIRE_SIGNATURE: 'true' })
  control.playAgents()
  const says = (args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    run(t, ['dev', ...args], { cwd: folder, env: { ...env, ...more } })
  t.match(await says([]), { code: 2, stderr: /one way of working so far\nnext: write aether dev --hot/ })
  t.match(await says(['--hot', '--app', 'other']), { code: 1, stderr: /control has no app other \(unknown_app/ })
  t.match(await says(['--hot'], { AETHER_TOKEN: '' }), { code: 10, stderr: /no token was shown/ })
  t.match(await says(['--hot', '--no-logs']), { code: 1, stderr: /signature_required/ })
  t.match(await says(['--hot'], { AETHER_URL: 'http://127.0.0.1:9' }), { code: 40 })
  t.strictSame(leftIn(folder), [])

  await run(t, ['keys', 'generate', '--out', '..'], { cwd: folder, env })
  t.match(await run(t, ['keys', 'add', 'shop', '../aether-signing.pub.pem'], { cwd: folder, env }), { code: 0 })
  const signed = { ...env, AETHER_SIGNING_KEY: '../aether-signing.pem' }
  const dev = await startDev(t, folder, signed)
  t.match(await says(['--hot'], signed), {
    code: 1,
    stderr: /aether dev of shop runs already: process \d+, in .*\/app\nnext: end that one first \(kill/,
  })
  dev.running.kill('SIGKILL')
  await dev.running.ended
  const next = await startDev(t, folder, signed)
  t.match(next.last(), { outcome: 'serving' }, "the lock of one that was killed is nobody's")
})
