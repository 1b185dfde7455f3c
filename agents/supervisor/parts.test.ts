// The small parts whose time the test sets itself, and what is read from processes that may say anything.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Duplex, PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { digestFromHex } from '@aether/contract/digest'
import { test } from 'tap'
import { createHeldSockets, parseSocketKey } from './held-sockets.ts'
import { passOn } from './last-words.ts'
import { createLink } from './link.ts'
import { createProbation } from './probation.ts'
import { createBackoff } from './restart-backoff.ts'

await test('an app is started again at once, later each time that it does not last, and at once when it lasted', (t) => {
  let now = 1_000_000
  const backoff = createBackoff(() => now)
  t.notOk(backoff.isDue())
  const endsAfter = (ms: number) => {
    backoff.started()
    now += ms
    backoff.plan()
    return backoff.leftMs()
  }
  t.strictSame([50, 50, 50, 50].map(endsAfter), [0, 100, 200, 400])
  t.strictSame([60_000, 1500, 1500].map(endsAfter), [0, 0, 0])
  const fails = () => {
    backoff.plan()
    return backoff.leftMs()
  }
  t.same(
    Array.from({ length: 12 }, fails).slice(-3),
    [10_000, 10_000, 10_000],
    'one that never comes up is not hurried',
  )
  now += 10_000
  t.ok(backoff.isDue())
  backoff.started()
  t.notOk(backoff.isDue(), 'what was planned is over when it runs')
  t.end()
})

await test('a release on probation is taken back at its third end, another one never', (t) => {
  const [a, b] = [digestFromHex('a'.repeat(64)), digestFromHex('b'.repeat(64))]
  const probation = createProbation(60_000)
  const ends = (digest: typeof a) => [1, 2, 3].map(() => probation.ended(digest))
  t.strictSame(ends(a), [undefined, undefined, undefined], 'nothing is on probation')
  probation.begin(a, b)
  t.strictSame(ends(a), [undefined, undefined, undefined])
  t.strictSame(ends(b), [undefined, undefined, a])
  probation.begin(null, b)
  t.strictSame(ends(b), [undefined, undefined, undefined], 'the first release has none before it')
  const over = createProbation(-1)
  over.begin(a, b)
  t.strictSame(
    [1, 2, 3].map(() => over.ended(b)),
    [undefined, undefined, undefined],
    'its time is over',
  )
  t.end()
})

await test('what comes through the pipe is believed only in its shape, and never piles up', async (t) => {
  const sent: string[] = []
  const pipe = new Duplex({
    read() {},
    write(piece, _encoding, done) {
      sent.push(String(piece))
      done()
    },
  })
  const link = createLink(pipe)
  const say = async (text: string) => {
    pipe.push(text)
    await turn()
    await turn()
  }
  await say('{"say":"hel')
  t.notOk(link.facts().attached)
  await say(
    'lo"}\nnot json\n[]\n{"say":"listening","port":"8080","path":"","host":"","ipv6Only":false,"kind":"http"}\n',
  )
  t.match(link.facts(), { attached: true, listening: [] })
  const listening = { say: 'listening', port: 8080, path: '', host: '', ipv6Only: false, kind: 'http', door: 4000 }
  await say(`${JSON.stringify(listening)}\n${JSON.stringify({ ...listening, kind: 'gopher' })}\n`)
  const known = { port: 8080, path: '', host: '', ipv6Only: false, kind: 'http', door: 4000 }
  t.strictSame(link.facts().listening, [known])
  await say(`${JSON.stringify({ ...listening, door: undefined })}\n`)
  t.strictSame(link.facts().listening, [known], 'the workers of a cluster say it once each')
  await say(Array.from({ length: 200 }, (_, port) => `${JSON.stringify({ ...listening, port })}\n`).join(''))
  t.equal(link.facts().listening.length, 100)
  link.order({ do: 'go' })
  await turn()
  t.strictSame(sent, ['{"do":"go"}\n'])
})

await test('the last words are lines without control characters, bounded, and passed on as they came', async (t) => {
  const [from, to] = [new PassThrough(), new PassThrough()]
  const passed: Buffer[] = []
  to.on('data', (piece: Buffer) => passed.push(piece))
  const words = passOn(from, to)
  const all = `${'x'.repeat(5000)}\n\n${Array.from({ length: 30 }, (_, i) => `line ${i} \u001b[31mred`).join('\n')}\n`
  from.write(all)
  await turn()
  await turn()
  t.equal(Buffer.concat(passed).toString(), all)
  const lines = words.text().split('\n')
  t.strictSame([lines.length, lines[0], lines.at(-1)], [20, 'line 10  [31mred', 'line 29  [31mred'])
})

await test('what is handed over is held once, whatever it is', (t) => {
  const sockets = createHeldSockets()
  let closed = 0
  const handle = (fd: number) => ({ fd, close: () => closed++ })
  const key = { port: 80, path: '', host: '', ipv6Only: false }
  for (const wrong of [undefined, null, 3, {}, { fd: -1, close: () => {} }, { fd: 3 }]) sockets.take(key, wrong)
  t.strictSame(sockets.list(), [])
  sockets.take(key, handle(7))
  sockets.take({ ...key }, handle(8))
  t.strictSame([sockets.list(), closed], [[{ ...key, fd: 7 }], 1], 'a second one of the same is closed')
  for (let port = 1; port <= 100; port++) sockets.take({ ...key, port: 1000 + port }, handle(100 + port))
  t.equal(sockets.list().length, 64)
  sockets.drop((one) => one.port === 80)
  t.strictSame([sockets.list().length, sockets.has(80), sockets.has(1001)], [1, true, false])
  t.equal(closed, 1 + 37 + 63)
  const wrongKeys = [null, 'x', { ...key, port: '80' }, { ...key, path: 'x'.repeat(5000) }, { port: 80, host: '' }]
  for (const wrong of wrongKeys) t.equal(parseSocketKey(wrong), undefined)
  sockets.drop(() => false)
  const path = join(t.testdir({ 'app.sock': '' }), 'app.sock')
  sockets.take({ ...key, port: 0, path }, handle(9))
  t.strictSame([sockets.hasMain(0), sockets.hasMain(80)], [true, false])
  sockets.drop(() => false)
  t.notOk(existsSync(path), 'the path goes with the last holder of its socket')
  t.end()
})
