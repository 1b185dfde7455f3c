// What the app writes, and whose turn it is to be replaced.
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '@aether/runtime/test-process'
import { test } from 'tap'
import { prefixLines } from './prefix.ts'
import { placeOf } from './recreate.ts'
import { appAnswering, createWorkspace } from './test-kit.ts'

const talking = (version: string) =>
  appAnswering(version, `process.stdout.write('out ${version} \\u00e4\\nhalf'); console.error('err ${version}')`)

await test('on request each line says which release and process wrote it, whichever way that was started', async (t) => {
  const world = await createWorkspace(t, { AETHER_APP_OUTPUT: 'prefixed' })
  const supervisor = world.start()
  for (const [letter, version] of [
    ['a', 'one'],
    ['b', 'two'],
  ] as const) {
    await world.verdict(world.activate(world.release(letter, talking(version))), 'ok')
    const { pid } = await world.askFresh()
    const start = `digest=${letter.repeat(12)} pid=${Number(pid)} stream=`
    await eventually('both lines', () =>
      [`${start}stdout out ${version} ä`, `${start}stderr err ${version}`].every((line) =>
        supervisor.lines.includes(line),
      ),
    )
    if (letter === 'a')
      await eventually('a spare', async () => /spare_state\{state="ready"\} 1/.test(await world.metrics()))
  }
  supervisor.kill('SIGTERM')
  await supervisor.exited
  t.ok(
    supervisor.lines.some((line) => /^digest=b{12} pid=\d+ stream=stdout half$/.test(line)),
    'a last line without an end is not lost',
  )
})

await test('otherwise it passes through as it is', async (t) => {
  const world = await createWorkspace(t)
  const supervisor = world.start()
  await world.verdict(world.activate(world.release('a', talking('one'))), 'ok')
  for (const line of ['out one ä', 'err one']) await supervisor.line(line)
  t.ok(supervisor.lines.includes('out one ä'))
  t.ok(supervisor.lines.includes('err one'))
})

await test('lines are found wherever the pieces are cut, and one without an end is held to its bound', async (t) => {
  const whole = Buffer.from(`first\n\nläst ${'x'.repeat(70_000)}\nend`)
  for (const bytes of [1000, 65_536, 1_000_000]) {
    const lines = prefixLines(() => '> ')
    const read: Buffer[] = []
    lines.on('data', (piece: Buffer) => read.push(piece))
    for (let at = 0; at < whole.length; at += bytes) lines.write(whole.subarray(at, at + bytes))
    await new Promise<void>((resolve) => {
      lines.end(resolve)
    })
    const said = Buffer.concat(read).toString().split('\n')
    t.strictSame([said[0], said[1], said.at(-2)], ['> first', '> ', '> end'], `${bytes} at a time`)
    t.strictSame(
      said.slice(2, 4).map((line) => Buffer.byteLength(line)),
      [65_538, 70_006 - 65_536 + 2],
    )
  }
})

await test('pods take turns by their names, and a pod that waits for its turn goes on serving', async (t) => {
  const places = Array.from({ length: 20 }, (_, n) => placeOf(`shop-5d9c7-${n}`))
  t.ok(places.every((place) => place >= 0 && place < 1))
  t.ok(Math.max(...places) - Math.min(...places) > 0.5, 'neighbours lie apart')
  t.equal(placeOf('a'), placeOf('a'))

  const world = await createWorkspace(t, { AETHER_STRATEGY: 'recreate', AETHER_SPLAY_MS: '3600000' })
  const supervisor = world.start()
  await world.verdict(world.activate(world.release('a', appAnswering('one'))), 'ok')
  const id = world.activate(world.release('b', appAnswering('two')))
  await eventually('the swap to begin', () => world.state().activation === id)
  await sleep(300)
  t.match(await world.askFresh(), { version: 'one' })
  t.equal(await world.readyz(), 200)
  t.equal(world.state().outcome, 'pending')
  supervisor.kill('SIGTERM')
  t.equal(await supervisor.exited, 0, 'the end of the pod waits for no turn')
})
