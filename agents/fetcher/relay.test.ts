// The relay as a process, with this test at the other end of its stream.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { createFrameReader, encodeFrame, type Frame, relayPort } from '@aether/contract/relay-frames'
import { eventually, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'

const main = new URL('./relay.ts', import.meta.url).pathname

await test('it carries connections both ways, tells the records as they change, and ends with its stream', async (t) => {
  const folder = testFolder(t, { data: {}, run: {} })
  const relay = startRelay(t, folder)
  await eventually('the first records', () => relay.of('records').length === 1)
  t.strictSame(JSON.parse(relay.of('records')[0]?.bytes.toString() ?? ''), { state: null, supervisor: null })
  writeFileSync(join(folder, 'data/state.json'), '{"failures":1}')
  await eventually('those of the fetcher', () => /failures/.test(relay.of('records').at(-1)?.bytes.toString() ?? ''))

  const socket = connect(relayPort, '127.0.0.1')
  let said = ''
  socket.setEncoding('utf8').on('data', (text: string) => (said += text))
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.write('GET / HTTP/1.1\r\n\r\n')
  await eventually('what was asked', () => Buffer.concat(relay.of('data').map(({ bytes }) => bytes)).length === 18)
  const [open] = relay.of('open')
  relay.send(encodeFrame('data', open?.connection, Buffer.from('a large answer '.repeat(100_000))))
  relay.send(encodeFrame('end', open?.connection))
  await eventually('the answer', () => said.length === 1_500_000)
  await closed
  await eventually('its end', () => relay.of('end').some(({ connection }) => connection === open?.connection))
  relay.send(encodeFrame('data', 77, Buffer.from('for nobody')))

  const second = startRelay(t, folder)
  await eventually('the refusal', () => second.of('taken').length === 1)
  t.equal(await second.exited, 1, 'there is one at a time')

  relay.hangUp()
  t.equal(await relay.exited, 0)
})

await test('what is no frame ends it', async (t) => {
  const relay = startRelay(t, testFolder(t, { data: {}, run: {} }))
  await eventually('the first records', () => relay.of('records').length === 1)
  relay.send(Buffer.from('hello, who is there?\n'))
  t.equal(await relay.exited, 0)
})

await test('frames are read whole, however they come', (t) => {
  const read = createFrameReader()
  const all = Buffer.concat([encodeFrame('open', 1), encodeFrame('data', 1, Buffer.from('abc')), encodeFrame('beat')])
  const frames: Frame[] = []
  for (const byte of all) frames.push(...read(Buffer.from([byte])))
  t.match(frames, [
    { kind: 'open', connection: 1 },
    { kind: 'data', connection: 1, bytes: Buffer.from('abc') },
    { kind: 'beat', connection: 0 },
  ])
  const huge = encodeFrame('data', 1)
  huge.writeUInt32BE(2 ** 31, 5)
  t.throws(() => read(huge), /no frame/)
  t.end()
})

function startRelay(t: Test, folder: string) {
  const variables = [`AETHER_DATA_DIR=${join(folder, 'data')}`, `AETHER_RUN_DIR=${join(folder, 'run')}`]
  // By env(1), because tap puts its loaders into the environment of whatever is spawned here.
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(
    'env',
    ['-i', ...variables, process.execPath, main],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const frames: Frame[] = []
  const read = createFrameReader()
  child.stdout.on('data', (piece: Buffer) => frames.push(...read(piece)))
  child.stdin.on('error', () => {})
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  return {
    exited,
    of: (kind: Frame['kind']) => frames.filter((frame) => frame.kind === kind),
    send: (frame: Buffer) => void child.stdin.write(frame),
    hangUp: () => void child.stdin.end(),
  }
}
