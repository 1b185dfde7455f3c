// The supervisor as a process, with real apps as its children.
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { digestFromHex } from '@aether/contract/digest'
import { eventually } from '@aether/runtime/test-process'
import { test } from 'tap'
import { appAnswering, createWorkspace, processesBelow } from './test-kit.ts'

await test('runs the release at its real path with its port, digest and commit, and is ready only while it answers', async (t) => {
  const world = await createWorkspace(t)
  const supervisor = world.start()
  await supervisor.line('waiting for a release')
  t.equal(await world.readyz(), 503, 'not ready before there is a release')
  const digest = world.release('a', appAnswering('one'))
  world.activate(digest)
  await world.verdict(1, 'ok')
  const answer = await world.ask()
  t.match(answer, { version: 'one', AETHER_DIGEST: digest, AETHER_BUILD_COMMIT: 'c1' })
  t.equal(answer.cwd, realpathSync(join(world.workspace, 'current')), 'the folder is the release itself, not the link')
  t.equal(await world.readyz(), 200)
  t.match(world.state(), { state: 'serving', lastGood: digest, inUse: [digest], refused: [] })
  const metrics = await world.metrics()
  t.match(metrics, /aether_swap_seconds_count\{strategy="overlap",outcome="ok"\} 1/)
  t.match(metrics, /aether_build_info\{agent="supervisor"/)
})

await test('with one process at a time: unready first, then SIGTERM, then the new process', async (t) => {
  const world = await createWorkspace(t, {
    AETHER_STRATEGY: 'recreate',
    AETHER_DRAIN_MAX_MS: '3000',
    AETHER_PROPAGATION_MS: '50',
  })
  world.start()
  world.activate(world.release('a', appAnswering('one')))
  await world.verdict(1, 'ok')
  world.activate(world.release('b', appAnswering('two')))
  await eventually('the swap to begin', () => world.state().state === 'swapping')
  t.same(world.notes(), [], 'no SIGTERM before a probe saw the pod unready')
  t.match(await world.ask(), { version: 'one' }, 'the old process still serves')
  await eventually('a probe that is told no', async () => (await world.readyz()) === 503)
  await world.verdict(2, 'ok')
  t.match(world.notes(), [/^term one/], 'it was asked to end, once')
  t.match(await world.ask(), { version: 'two' })
  t.equal(await world.readyz(), 200)
})

await test('an app that ignores SIGTERM is killed with all it started when the grace is over', async (t) => {
  const world = await createWorkspace(t)
  world.start()
  const stubborn = `import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
process.on('SIGTERM', () => {})
const grandchild = spawn(process.execPath, ['-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"])
writeFileSync(process.env.NOTES, process.pid + '\\n' + grandchild.pid + '\\n')
`
  world.activate(world.release('a', stubborn + appAnswering('one').replace(/^process.on.*$/m, '')))
  await world.verdict(1, 'ok')
  const pids = world.notes().map(Number)
  t.equal(pids.length, 2)
  t.ok(pids.every(isAlive), 'the app and its child run')
  world.activate(world.release('b', appAnswering('two')))
  await world.verdict(2, 'ok')
  await eventually('both to be gone', () => !pids.some(isAlive))
  t.match(await world.ask(), { version: 'two' })
})

await test('a release that ends while it starts is refused with its reason, and the last good one serves on', async (t) => {
  const world = await createWorkspace(t)
  const supervisor = world.start()
  const good = world.release('a', appAnswering('one'))
  world.activate(good)
  await world.verdict(1, 'ok')
  const { pid } = await world.ask()
  const broken = world.release('b', `console.error('no such module'); process.exit(3)`)
  world.activate(broken)
  await world.verdict(2, 'fail')
  t.match(world.state(), {
    reason: 'unhealthy',
    detail: 'exited',
    message: /exit code 3/,
    output: 'no such module',
    state: 'serving',
    refused: [broken],
    lastGood: good,
  })
  t.match(await world.ask(), { version: 'one', pid }, 'the same process')
  t.equal(await world.readyz(), 200)
  t.ok(supervisor.lines.includes('no such module'), "the app's own words are passed through")
  world.activate(good)
  await world.verdict(3, 'ok')
  t.match(world.state(), { digest: good }, 'taken back by the fetcher: it runs already')
  t.match(await world.ask(), { pid })
  t.match(await world.metrics(), /aether_rollbacks_total\{reason="exited"\} 1/)
})

await test('a release that never answers is refused when its time is over', async (t) => {
  const world = await createWorkspace(t, { AETHER_START_TIMEOUT_MS: '600', AETHER_READY_PATH: '/healthz' })
  world.start()
  world.activate(world.release('a', 'setInterval(() => {}, 1000)'))
  await world.verdict(1, 'fail')
  t.equal(world.state().detail, 'not_ready')
  t.match(world.state().message, /not ready in 600 ms: \/healthz on port \d+ did not answer 2xx/)
})

await test('an app that ends by itself is started again, and readiness tells the truth meanwhile', async (t) => {
  const world = await createWorkspace(t)
  world.start()
  world.activate(world.release('a', appAnswering('one')))
  await world.verdict(1, 'ok')
  const { pid } = await world.ask()
  process.kill(Number(pid), 'SIGKILL')
  await eventually('readiness to go', async () => (await world.readyz()) === 503)
  await eventually('another process', async () => {
    const answer = await world.ask()
    return answer.version === 'one' && answer.pid !== pid
  })
  await eventually('readiness to come back', async () => (await world.readyz()) === 200)
  t.match(await world.metrics(), /aether_app_restarts_total 1/)
  t.equal(world.state().outcome, 'ok', 'the verdict on the activation stands')
})

await test('a release that ends again and again soon after its swap is taken back', async (t) => {
  const world = await createWorkspace(t)
  world.start()
  const good = world.release('a', appAnswering('one'))
  await world.verdict(world.activate(good), 'ok')
  const bad = world.release('b', appAnswering('two', "setTimeout(() => { throw new Error('out of luck') }, 150)"))
  await world.verdict(world.activate(bad), 'ok')
  await world.verdict(2, 'fail')
  t.match(world.state(), { detail: 'crashed', refused: [bad], output: /out of luck/ })
  await eventually('the release before it', async () => (await world.ask()).version === 'one')
  await eventually('readiness', async () => (await world.readyz()) === 200)
  await eventually('its record', () => world.state().state === 'serving')
  t.match(world.state(), { digest: good, lastGood: good })
  t.match(await world.metrics(), /aether_rollbacks_total\{reason="crashed"\} 1/)
})

await test('the hook of a release runs before its process, and its failure is that of the release', async (t) => {
  const world = await createWorkspace(t, { AETHER_START_TIMEOUT_MS: '3000' })
  const first = world.start()
  const manifest = (hook: string) => ({ type: 'module', aether: { beforeServe: hook } })
  const hook = (more = '') => ({
    'hook.js': `import { appendFileSync } from 'node:fs'
appendFileSync(process.env.NOTES, 'hook ' + process.env.AETHER_DIGEST.slice(7, 8) + ' ' + process.argv[2] + '\\n')
${more}`,
  })
  const begins = (version: string) => `${appAnswering(version)}\nappendFileSync(NOTES, 'start ${version}\\n')`
  const good = world.release('a', begins('one'), manifest('node hook.js migrate'), hook())
  await world.verdict(world.activate(good), 'ok')
  t.same(world.notes(), ['hook a migrate', 'start one'])
  const failing = hook("console.error('table is locked'); process.exit(4)")
  await world.verdict(world.activate(world.release('b', begins('two'), manifest('node hook.js'), failing)), 'fail')
  t.match(world.state(), { detail: 'hook', message: /exit code 4/, output: 'table is locked', state: 'serving' })
  const endless = hook('setInterval(() => {}, 1000)')
  await world.verdict(world.activate(world.release('c', begins('three'), manifest('node hook.js'), endless)), 'fail')
  t.match(world.state(), { detail: 'hook', message: /was not done in 3000 ms/ })
  await world.verdict(world.activate(world.release('d', begins('four'), manifest('a && b'))), 'fail')
  t.match(world.state(), { detail: 'command', message: /beforeServe.*needs a shell/ })
  t.match(await world.ask(), { version: 'one' })
  await world.verdict(world.activate(good), 'ok')
  first.kill('SIGTERM')
  await first.exited
  world.start()
  await eventually('the app', async () => (await world.ask()).version === 'one')
  t.equal(world.notes().filter((note) => note === 'hook a migrate').length, 1, 'not again where it served already')
})

await test('a connection that comes when the running process was just killed is answered by the next one', async (t) => {
  const world = await createWorkspace(t)
  world.start()
  await world.verdict(world.activate(world.release('a', appAnswering('one'))), 'ok')
  for (let i = 0; i < 3; i++) {
    const pid = Number((await world.askFresh()).pid)
    process.kill(pid, 'SIGKILL')
    await eventually('its end', () => !isAlive(pid))
    const answers = await Promise.all(Array.from({ length: 20 }, () => world.askFresh()))
    t.ok(answers.every((answer) => answer.version === 'one' && answer.pid !== pid))
    await eventually('readiness', async () => (await world.readyz()) === 200)
  }
})

await test('the latest of several activations wins, and no process is left over', async (t) => {
  const world = await createWorkspace(t)
  world.start()
  const slow = (version: string) => `await new Promise((resolve) => setTimeout(resolve, 400))\n${appAnswering(version)}`
  const [a, b, c] = [
    world.release('a', slow('one')),
    world.release('b', slow('two')),
    world.release('c', slow('three')),
  ]
  world.activate(a)
  await eventually('the first to be taken up', () => world.state().activation === 1)
  world.activate(b)
  world.activate(c)
  await world.verdict(3, 'ok')
  t.match(await world.ask(), { version: 'three' })
  await eventually('one process', () => processesBelow(world.workspace).length === 1)
  t.same(world.state().refused, [], 'one that was left is not held against its release')
})

await test('a release that was put right is started anew though its digest runs already, and no other is', async (t) => {
  const world = await createWorkspace(t)
  world.start()
  const digest = world.release('a', appAnswering('one'))
  world.activate(digest)
  await world.verdict(1, 'ok')
  const { pid } = await world.ask()
  world.activate(digest)
  await world.verdict(2, 'ok')
  t.match(await world.askFresh(), { pid }, 'it runs already')
  world.activate(digest, true)
  await world.verdict(3, 'ok')
  const renewed = await world.askFresh()
  t.equal(renewed.version, 'one')
  t.not(renewed.pid, pid)
  await eventually('the end of the old one', () => world.notes().length === 1)
  t.match(world.notes(), [/^term one/])
})

await test('SIGTERM ends the app gracefully and then the supervisor, which takes no more activations', async (t) => {
  const world = await createWorkspace(t, { AETHER_DRAIN_MAX_MS: '500' })
  const supervisor = world.start()
  world.activate(world.release('a', appAnswering('one')))
  await world.verdict(1, 'ok')
  const { pid } = await world.ask()
  supervisor.kill('SIGTERM')
  await eventually('that it stops', () => world.state().state === 'stopping')
  world.activate(world.release('b', appAnswering('two')))
  t.equal(await supervisor.exited, 0)
  t.match(world.notes(), [/^term one/])
  t.notOk(isAlive(Number(pid)))
  t.match(world.state(), { activation: 1, state: 'stopping' })
})

await test('after a restart of its container it starts the last good release where the wanted one was refused', async (t) => {
  const world = await createWorkspace(t)
  const first = world.start()
  world.activate(world.release('a', appAnswering('one')))
  await world.verdict(1, 'ok')
  world.activate(world.release('b', 'process.exit(1)'))
  await world.verdict(2, 'fail')
  await eventually('the last good release', async () => (await world.ask()).version === 'one')
  first.kill('SIGTERM')
  await first.exited
  const second = world.start()
  await second.line('serves again')
  t.match(await world.ask(), { version: 'one' })
  t.match(world.state(), { activation: 2, outcome: 'fail', refused: [digestFromHex('b'.repeat(64))] })
})

await test('a first release that fails is tried again until it comes up', async (t) => {
  const world = await createWorkspace(t)
  const flag = join(world.root, 'database-is-up')
  world.start()
  world.activate(
    world.release(
      'a',
      `import { existsSync } from 'node:fs'\nif (!existsSync(${JSON.stringify(flag)})) process.exit(1)\n${appAnswering('one').replace(/^import.*from 'node:fs'$/m, "import { appendFileSync } from 'node:fs'")}`,
    ),
  )
  await world.verdict(1, 'fail')
  writeFileSync(flag, '')
  await eventually('the app', async () => (await world.ask()).version === 'one')
  await eventually('readiness', async () => (await world.readyz()) === 200)
})

await test('a supervisor.json that cannot be read is begun afresh', async (t) => {
  const world = await createWorkspace(t)
  writeFileSync(join(world.root, 'run', 'supervisor.json'), '{"activation": -1')
  const supervisor = world.start()
  await supervisor.line('cannot be read; a fresh one is begun')
  world.activate(world.release('a', appAnswering('one')))
  await world.verdict(1, 'ok')
  t.ok(existsSync(join(world.root, 'run', 'supervisor.json')))
})

function isAlive(pid: number): boolean {
  try {
    // A zombie has ended; only its parent has not looked yet.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
