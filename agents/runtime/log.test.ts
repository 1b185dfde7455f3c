// The log of a real process, as whoever reads its stdout sees it.
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, test } from 'tap'

const use = `import { createLog } from '${new URL('log.ts', import.meta.url).href}'\n`

function write(t: Test, code: string): string {
  return join(t.testdir({ 'say.mjs': use + code }), 'say.mjs')
}

function say(t: Test, code: string): readonly string[] {
  const { stdout, stderr } = spawnSync('env', ['-i', process.execPath, write(t, code)], { encoding: 'utf8' })
  t.equal(stderr, '')
  return stdout.trimEnd().split('\n')
}

await test('a line is JSON with level, time and agent; a marker is as it is, between them', (t) => {
  const lines = say(
    t,
    `const log = createLog('fetcher', 'info')
    log.debug({}, 'too little')
    log.info({ mode: 'file', digest: undefined }, 'following')
    log.marker('REFRESH_OK app=shop')
    log.error({ at: 1 }, 'said "so"\\nand so')`,
  )
  t.equal(lines[1], 'REFRESH_OK app=shop')
  const [first, last] = [JSON.parse(lines[0] ?? ''), JSON.parse(lines[2] ?? '')]
  t.match(first.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  t.strictSame(first, { level: 30, time: first.time, agent: 'fetcher', mode: 'file', msg: 'following' })
  t.strictSame(last, { level: 50, time: last.time, agent: 'fetcher', at: 1, msg: 'said "so"\nand so' })
  t.equal(lines.length, 3)
  t.strictSame(say(t, "const log = createLog('a', 'silent'); log.error({}, 'x'); log.marker('m')"), ['m'])
  t.end()
})

await test('an error is written with its causes, its fields and those that it gathers', (t) => {
  const [line] = say(
    t,
    `const cause = Object.assign(new TypeError('no such host', { cause: new Error('timed out') }), { code: 'ENOTFOUND' })
    const err = Object.assign(new Error('no answer', { cause }), { status: 0, inner: new RangeError('far') })
    createLog('a', 'info').warn({ err, list: [new AggregateError([err])].length }, 'm')`,
  )
  const { err } = JSON.parse(line ?? '')
  t.match(err, { type: 'Error', message: 'no answer: no such host: timed out', status: 0, inner: { message: 'far' } })
  t.match(
    err.stack,
    /^Error: no answer\n\s+at [\s\S]+\ncaused by: TypeError: no such host\n[\s\S]+\ncaused by: Error: timed out/,
  )
  t.notOk('cause' in err)
  const [many] = say(t, "createLog('a', 'info').warn({ err: new AggregateError([new Error('one'), 2], 'all') }, 'm')")
  t.match(JSON.parse(many ?? ''), { err: { type: 'AggregateError', aggregateErrors: [{ message: 'one' }, 2] } })
  t.end()
})

await test('what JSON cannot say is left out, and the line is said', (t) => {
  const lines = say(
    t,
    `const round = { }
    round.round = round
    const self = new Error('its own cause')
    self.cause = self
    for (const fields of [{ round }, { n: 1n }, { err: self }, { err: 'text' }]) createLog('a', 'info').info(fields, 'still said')`,
  )
  t.equal(lines.length, 4)
  for (const line of lines) t.match(JSON.parse(line), { level: 30, agent: 'a', msg: 'still said' })
  t.end()
})

await test('a pipe that is full and does not wait loses no line', async (t) => {
  const file = write(
    t,
    "const log = createLog('a', 'info'); for (let n = 0; n < 400; n++) log.info({ n }, 'x'.repeat(1000))",
  )
  const pipe = join(t.testdirName, 'pipe')
  t.equal(spawnSync('mkfifo', [pipe]).status, 0)
  const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK)
  t.teardown(() => closeSync(fd))
  // By way of descriptor 3, because spawn makes the first three wait.
  const command = `exec env -i '${process.execPath}' '${file}' >&3`
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'ignore', 'inherit', fd] })
  t.teardown(() => child.kill('SIGKILL'))
  const chunk = Buffer.alloc(64 * 1024)
  let text = ''
  for (let isOver = false; ; isOver = child.exitCode !== null) {
    try {
      text += chunk.toString('latin1', 0, readSync(fd, chunk))
    } catch (error) {
      if (isOver) break
      t.match(error, { code: 'EAGAIN' })
      await sleep(20)
    }
  }
  t.equal(child.exitCode, 0)
  const said = text.trimEnd().split('\n')
  t.strictSame(
    said.map((line) => JSON.parse(line).n),
    Array.from({ length: 400 }, (_, n) => n),
  )
})

await test('a reader that has gone, or a full disk, ends nothing', (t) => {
  const file = write(
    t,
    "import { writeFileSync } from 'node:fs'\nconst log = createLog('a', 'info')\nfor (let n = 0; n < 3; n++) log.info({}, 'x'.repeat(9000))\nwriteFileSync(process.argv[2], 'went on')",
  )
  const done = join(t.testdirName, 'done')
  for (const to of ['| head -c 1 >/dev/null', '>/dev/full']) {
    const { stderr } = spawnSync('sh', ['-c', `env -i '${process.execPath}' '${file}' '${done}' ${to}`], {
      encoding: 'utf8',
    })
    t.equal(stderr, '')
    t.equal(readFileSync(done, 'utf8'), 'went on')
  }
  t.end()
})
