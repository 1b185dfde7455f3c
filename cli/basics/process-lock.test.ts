// The lock among processes: real ones, all at once, some of them killed.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { test } from 'tap'
import { takeProcessLock } from './process-lock.ts'

const module = fileURLToPath(new URL('process-lock.ts', import.meta.url))

/** Takes the lock again and again. Whoever has it makes a folder and removes it; a folder that is there already is another holder. */
const contender = `
  import { mkdirSync, rmdirSync } from 'node:fs'
  import { setTimeout as sleep } from 'node:timers/promises'
  import { takeProcessLock } from ${JSON.stringify(module)}
  const [, lock, held, rounds] = process.argv
  let taken = 0
  for (let n = 0; n < Number(rounds); n++) {
    const release = await takeProcessLock(lock, 'a contender')
    if (typeof release !== 'function') continue
    taken++
    mkdirSync(held)
    await sleep(2)
    rmdirSync(held)
    await release()
  }
  console.log(taken)
`

function contend(folder: string, rounds: number) {
  const args = ['--input-type=module', '-e', contender, join(folder, 'lock'), join(folder, 'held'), String(rounds)]
  return execa(process.execPath, args, { reject: false, env: { TAP: '' }, extendEnv: false })
}

await test('of many processes that want it at once no two have it, and nothing is left', async (t) => {
  const folder = t.testdir({})
  const results = await Promise.all(Array.from({ length: 6 }, () => contend(folder, 30)))
  for (const { exitCode, stderr } of results) t.equal(exitCode, 0, stderr)
  t.ok(results.reduce((sum, { stdout }) => sum + Number(stdout), 0) > 0, 'somebody had it')
  t.strictSame(readdirSync(folder), [])
})

await test('one that was killed has it no more, however many find that out at once', async (t) => {
  const folder = t.testdir({})
  const lock = join(folder, 'lock')
  const dead = spawnSync(process.execPath, ['-e', ''])
  for (let round = 0; round < 5; round++) {
    mkdirSync(lock, { recursive: true })
    // A process that has ended: its number is nobody's now.
    writeFileSync(join(lock, `${dead.pid}-left`), 'gone')
    const results = await Promise.all(Array.from({ length: 4 }, () => contend(folder, 3)))
    for (const { exitCode, stderr } of results) t.equal(exitCode, 0, stderr)
  }
  t.strictSame(readdirSync(folder), [])
})

await test('a holder that lives is named, with what it said of itself', async (t) => {
  const folder = t.testdir({})
  const lock = join(folder, 'lock')
  mkdirSync(lock)
  writeFileSync(join(lock, `${process.ppid}-x`), '/home/ada/shop')
  t.strictSame(await takeProcessLock(lock, 'us'), { pid: process.ppid, about: '/home/ada/shop' })
  t.strictSame(readdirSync(lock), [`${process.ppid}-x`], 'and keeps it')
  writeFileSync(join(folder, 'file'), '')
  await t.rejects(takeProcessLock(join(folder, 'file'), 'us'), { code: 'EEXIST' })
})
