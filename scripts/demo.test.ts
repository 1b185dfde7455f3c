// npm start as a person runs it.
import { execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Test, test } from 'tap'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The demo with a temporary folder of its own, so that what it leaves there can be seen. */
function startDemo(t: Test, args: readonly string[], parent = tmpdir()) {
  const temporary = mkdtempSync(join(parent, 'aether-demo-test-'))
  let output = ''
  // Through env, because the test runner puts its loaders into every Node that it starts.
  const child = spawn(
    'env',
    [
      '-i',
      `PATH=${process.env.PATH}`,
      `TMPDIR=${temporary}`,
      'NO_COLOR=1',
      process.execPath,
      'scripts/demo/main.ts',
      ...args,
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (piece: string) => {
      output += piece
    })
  const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  t.teardown(async () => {
    child.kill('SIGTERM')
    await exited
    rmSync(temporary, { recursive: true })
  })
  return {
    temporary,
    exited,
    output: () => output,
    end: (signal: NodeJS.Signals = 'SIGTERM') => child.kill(signal),
    async shows(text: RegExp): Promise<RegExpExecArray> {
      for (let tries = 0; tries < 9000; tries++) {
        const found = text.exec(output)
        if (found !== null) return found
        await sleep(10)
      }
      throw new Error(`${text} was not shown in:\n${output}`)
    },
  }
}

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'needs root: it mounts a small tmpfs' }

function mountSmall(t: Test): string {
  const volume = mkdtempSync(join(tmpdir(), 'aether-demo-small-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'none', volume])
  t.teardown(() => {
    execFileSync('umount', ['-l', volume])
    rmSync(volume, { recursive: true })
  })
  return volume
}

/** The processes whose temporary folder is this one. */
function withFolder(temporary: string): readonly string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return (
        /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, 'utf8').split('\0').includes(`TMPDIR=${temporary}`)
      )
    } catch {
      return false // it has ended
    }
  })
}

await test('shows v1, v2, the refusal of a tampered v3 and what one edited line costs, counts honestly, and leaves nothing behind', async (t) => {
  const demo = startDemo(t, [])
  t.equal(await demo.exited, 0, demo.output())
  const output = demo.output()
  t.match(output, /"hello from 1\.0\.0"[^]*"hello from 2\.0\.0" \d+ ms after the command was typed/)
  t.match(output, /refused +reason=checksum[^]*still "hello from 2\.0\.0"/)
  const bytesOf = (row: string) => Number(new RegExp(`${row} +([\\d,]+) bytes`).exec(output)?.[1]?.replaceAll(',', ''))
  t.ok(bytesOf('the first time: all of it') > 100_000)
  t.ok(bytesOf('the line: what changed') < 5000)
  t.match(output, /fetched +\d+ bytes for 3\.1\.1, source=delta/)
  const [, answered, failed] = /(\d+) requests answered, (\d+) failed/.exec(output) ?? []
  t.ok(Number(answered) > 100, `${answered} answered`)
  t.equal(failed, '0', 'also while the process is replaced')
  t.notMatch(output, '\u001b', 'NO_COLOR is kept')
  t.same(readdirSync(demo.temporary), [])
})

await test('what the demo started ends with it, when it is killed too', async (t) => {
  const demo = startDemo(t, [])
  await demo.shows(/"hello from 1\.0\.0"/)
  t.ok(withFolder(demo.temporary).length >= 4, 'control, fetcher, supervisor and the app run')
  demo.end('SIGKILL')
  await demo.exited
  for (let tries = 0; tries < 3000 && withFolder(demo.temporary).length > 0; tries++) await sleep(10)
  t.strictSame(withFolder(demo.temporary), [])
})

await test(
  'a disk that is full ends the demo by a sentence that says so, and nothing goes on running',
  needsRoot,
  async (t) => {
    const demo = startDemo(t, [], mountSmall(t))
    t.equal(await demo.exited, 1)
    t.match(demo.output(), /The demo stopped: .*cannot be written \(ENOSPC/)
    t.notMatch(demo.output(), /^ +at /m, 'and by no stack')
    t.strictSame(withFolder(demo.temporary), [])
  },
)

await test('--keep leaves it running, and what it says to type deploys the next version', async (t) => {
  const demo = startDemo(t, ['--keep'])
  const [, url = ''] = await demo.shows(/the app +(http\S+)/)
  const [, env = '', folder = ''] = await demo.shows(/\. (\S+\/env); npx aether deploy (\S+) --dev-hot/)
  await demo.shows(/Ctrl-C/)
  t.equal(statSync(env).mode & 0o777, 0o600, 'the file with the token is nobody elses')
  const manifest = join(folder, 'package.json')
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('3.0.0', '4.0.0'))
  const deploy = spawn(
    'env',
    ['-i', `PATH=${process.env.PATH}`, 'sh', '-c', `. ${env}; npx aether deploy ${folder} --dev-hot`],
    { cwd: root },
  )
  t.equal(await new Promise((resolve) => deploy.once('exit', resolve)), 0)
  let answer = ''
  for (let tries = 0; tries < 1000 && !answer.includes('4.0.0'); tries++) {
    await sleep(10)
    answer = await fetch(url).then(
      (response) => response.text(),
      () => '',
    )
  }
  t.equal(answer, 'hello from 4.0.0\n')
  demo.end()
  t.equal(await demo.exited, 0)
  t.ok(existsSync(manifest), 'the folder is kept')
  await t.rejects(fetch(url), 'nothing is left running')
})

await test('a command that is not known is said plainly', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'aether-run-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  cpSync(join(root, 'scripts', 'run.mjs'), join(folder, 'scripts', 'run.mjs'))
  const unknown = spawn(process.execPath, [join(folder, 'scripts', 'run.mjs'), 'dance'])
  let said = ''
  unknown.stderr.setEncoding('utf8').on('data', (piece: string) => {
    said += piece
  })
  t.equal(await new Promise((resolve) => unknown.once('close', resolve)), 2)
  t.match(said, 'there is no command "dance"; there are: start')
})
