// Passes: never two of one app at once, none lost, repeated where one fails.
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { createPasses } from './passes.ts'
import type { AppRef } from './ports.ts'

const hello = { namespace: 'default', app: 'hello' }

await test('a pass that is asked for while one is under way comes after it, once however often it is asked for', async (t) => {
  let running = 0
  let most = 0
  let count = 0
  const let1 = gate()
  const passes = createPasses(
    async () => {
      running++
      count++
      most = Math.max(most, running)
      await let1.opened
      running--
    },
    () => t.fail('no pass fails here'),
  )
  for (let at = 0; at < 5; at++) passes.wake(hello)
  await sleep(0)
  for (let at = 0; at < 5; at++) passes.wake(hello)
  let1.open()
  while (count < 2 || running > 0) await sleep(1)
  await passes.stop()
  t.equal(most, 1)
  t.equal(count, 2)
})

await test('at most eight apps have a pass at once, and all of them get one', async (t) => {
  let running = 0
  let most = 0
  const seen = new Set<string>()
  const passes = createPasses(
    async ({ app }) => {
      most = Math.max(most, ++running)
      await sleep(1)
      seen.add(app)
      running--
    },
    () => t.fail('no pass fails here'),
  )
  for (let at = 0; at < 40; at++) passes.wake({ namespace: 'default', app: `app-${at}` })
  while (seen.size < 40) await sleep(1)
  await passes.stop()
  t.equal(most, 8)
})

await test('a pass that fails is said and repeated until it succeeds; one at a given time comes then', async (t) => {
  let tries = 0
  const said: { ref: AppRef; retryMs: number }[] = []
  const passes = createPasses(
    async () => {
      if (++tries < 3) throw new Error('not yet')
    },
    (ref, _error, retryMs) => void said.push({ ref, retryMs }),
  )
  passes.wake(hello)
  while (tries < 3) await sleep(5)
  t.match(said, [{ ref: hello }, { ref: hello }])
  t.ok(said.every(({ retryMs }) => retryMs > 0))
  passes.at(hello, Date.now() + 20)
  while (tries < 4) await sleep(5)
  await passes.stop()
  passes.wake(hello)
  await sleep(5)
  t.equal(tries, 4, 'none begins after the stop')
})

function gate() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}
