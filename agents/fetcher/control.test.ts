// The fetcher as a process of a pod that has a control service: whom it tells what, and what it does without an answer.
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { hexOf } from '@aether/contract/digest'
import { formatPodinfo } from '@aether/contract/podinfo'
import { createTestControl, status, taken } from '@aether/runtime/test-control'
import { eventually, startProcess } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { createWorld, type Made } from './test-kit.ts'

const initFetch = fileURLToPath(new URL('../init-fetch/main.ts', import.meta.url))

async function createPod(t: Test, env: Readonly<Record<string, string>> = {}) {
  const control = await createTestControl(t)
  const world = await createWorld(t, env)
  const tokenFile = join(world.root, 'token')
  writeFileSync(tokenFile, 'first')
  const joined = { AETHER_CONTROL_URL: control.url, AETHER_CONTROL_TOKEN_FILE: tokenFile }
  return {
    ...world,
    control,
    start: (more: Readonly<Record<string, string>> = {}) => world.start({ ...joined, ...more }),
    renew(token: string) {
      writeFileSync(`${tokenFile}.new`, token)
      renameSync(`${tokenFile}.new`, tokenFile)
    },
    /** The outcome number `count` (from 1) that control took. */
    async outcome(count: number): Promise<unknown> {
      await eventually(`outcome ${count}`, () => control.outcomes.length >= count)
      return control.outcomes[count - 1]
    },
    /** Has init-fetch activate a release, as control's answer would; the annotations stay without a target. */
    async startWith(made: Made): Promise<void> {
      const file = join(world.root, 'first')
      writeFileSync(file, formatPodinfo(made.annotations))
      const process = startProcess(t, initFetch, {
        AETHER_ARTIFACT_ADDRESSES: 'any',
        AETHER_DATA_DIR: world.layout.root,
        AETHER_ANNOTATIONS_FILE: file,
        AETHER_PUBKEY: join(world.root, 'key.pem'),
      })
      t.equal(await process.exited, 0)
    },
  }
}

const bad = { 'aether.dev/signature': '0'.repeat(128) }

await test('each outcome is told with the token, and what serves at a start', async (t) => {
  const pod = await createPod(t)
  await pod.control.start()
  const one = pod.make('one')
  pod.annotate(one.annotations)
  const fetcher = pod.start()
  t.match(await pod.outcome(1), { digest: one.digest, outcome: 'ok', serving: one.digest, reason: null, ms: Number })
  t.match(pod.control.asked[0], { route: 'PUT /control/pods/self/outcome', authorization: 'Bearer first' })

  pod.annotate({ ...one.annotations, 'aether.dev/build-time': 'later' })
  const noop = { digest: one.digest, outcome: 'ok', serving: one.digest, reason: null, detail: null, message: null }
  t.strictSame(await pod.outcome(2), { ...noop, ms: null }, 'what serves already is an outcome for who asked for it')

  const two = pod.make('two')
  pod.annotate({ ...two.annotations, ...bad })
  t.match(await pod.outcome(3), {
    digest: two.digest,
    outcome: 'fail',
    serving: one.digest,
    reason: 'signature',
    detail: 'invalid',
    message: /does not hold/,
  })
  pod.annotate({ ...two.annotations, 'aether.dev/digest': 'sha256:1' })
  t.match(await fetcher.marker(3), { kind: 'fail', reason: 'target' })
  pod.annotate({})
  fetcher.kill('SIGTERM')
  t.equal(await fetcher.exited, 0)
  t.equal(pod.control.outcomes.length, 3, 'no digest was asked for, so none has an outcome')

  pod.start()
  t.strictSame(await pod.outcome(4), { ...noop, ms: null })
})

await test('where control is away only the last outcome is kept, told when it is back, and refreshes go on', async (t) => {
  const pod = await createPod(t)
  const [one, two] = [pod.make('one'), pod.make('two')]
  pod.annotate(one.annotations)
  const fetcher = pod.start()
  await fetcher.marker(1)
  await fetcher.line('control cannot be told the outcome')
  pod.annotate({ ...two.annotations, ...bad })
  await fetcher.marker(2)
  pod.annotate(two.annotations)
  t.match(await fetcher.marker(3), { kind: 'ok', digest: hexOf(two.digest) })
  t.match(await pod.metrics(), /^aether_control_report_failures_total [1-9]/m)
  await pod.control.start()
  t.match(await pod.outcome(1), { digest: two.digest, outcome: 'ok', serving: two.digest })
  await fetcher.line('control takes outcomes again')
  await sleep(300)
  t.equal(pod.control.outcomes.length, 1)
  t.equal(fetcher.lines.filter((line) => line.includes('cannot be told')).length, 1, 'said once')
})

await test('the last outcome is told again after a while, since control may have lost it, but for one that it refused', async (t) => {
  const pod = await createPod(t, { AETHER_CONTROL_AGAIN_SEC: '1' })
  await pod.control.start()
  const [one, two] = [pod.make('one'), pod.make('two')]
  pod.annotate(one.annotations)
  const fetcher = pod.start()
  t.match(await pod.outcome(1), { digest: one.digest, outcome: 'ok' })
  t.strictSame(await pod.outcome(2), await pod.outcome(1))
  t.strictSame(await pod.outcome(3), await pod.outcome(1))
  pod.control.onOutcome(status(404))
  pod.annotate(two.annotations)
  await fetcher.line('control refuses the outcome (404)')
  const asked = pod.control.asked.length
  await sleep(1500)
  t.equal(pod.control.asked.length, asked)
})

await test('429, 5xx and a 401 are tried again, with the token of then; 403 is not', async (t) => {
  const pod = await createPod(t)
  await pod.control.start()
  const answers = [status(503), status(429, { 'retry-after': '0' }), status(401), status(401), taken]
  pod.control.onOutcome((response, asked) => {
    pod.renew(`token-${answers.length}`)
    ;(answers.shift() ?? status(403))(response, asked)
  })
  const [one, two] = [pod.make('one'), pod.make('two')]
  pod.annotate(one.annotations)
  const fetcher = pod.start()
  t.match(await pod.outcome(1), { digest: one.digest })
  t.same(
    pod.control.asked.map(({ authorization }) => authorization),
    ['Bearer first', 'Bearer token-5', 'Bearer token-4', 'Bearer token-3', 'Bearer token-2'],
  )
  pod.annotate(two.annotations)
  await fetcher.line('control refuses the outcome (403)')
  await sleep(800)
  t.equal(pod.control.asked.length, 6)
  t.equal(await pod.current(), two.digest)
  t.notMatch(fetcher.lines.join('\n'), /token-\d|Bearer/)
})

await test('one request is under way at a time, and a control that never answers holds up no refresh and no end', async (t) => {
  const pod = await createPod(t)
  await pod.control.start()
  pod.control.onOutcome(() => {})
  const [one, two] = [pod.make('one'), pod.make('two')]
  pod.annotate(one.annotations)
  const fetcher = pod.start()
  await eventually('the request', () => pod.control.asked.length === 1)
  pod.annotate(two.annotations)
  await fetcher.marker(2)
  t.equal(pod.control.asked.length, 1)
  fetcher.kill('SIGTERM')
  t.equal(await fetcher.exited, 0)
})

await test('the end does not wait for the next try', async (t) => {
  const pod = await createPod(t)
  await pod.control.start()
  pod.control.onOutcome(status(503, { 'retry-after': '3600' }))
  pod.annotate(pod.make('one').annotations)
  const fetcher = pod.start()
  await fetcher.line('control cannot be told the outcome')
  fetcher.kill('SIGTERM')
  t.equal(await fetcher.exited, 0)
  t.equal(pod.control.asked.length, 1)
})

await test('artifacts of control come with the token', async (t) => {
  const pod = await createPod(t)
  await pod.control.start()
  const one = pod.make('one')
  const [bytes] = pod.server.routes.values()
  pod.control.routes.set('/control/artifacts/one', (response, { authorization }) => {
    if (authorization === 'Bearer first' && bytes instanceof Uint8Array) response.end(bytes)
    else response.writeHead(401).end()
  })
  pod.annotate({ ...one.annotations, 'aether.dev/artifact-url': `${pod.control.url}/artifacts/one` })
  const fetcher = pod.start()
  t.match(await fetcher.marker(1), { kind: 'ok', digest: hexOf(one.digest) })
})

await test('without a target it keeps what init-fetch activated and says its outcome once', async (t) => {
  const pod = await createPod(t, { AETHER_SUPERVISED: 'true' })
  await pod.control.start()
  const [one, two] = [pod.make('one'), pod.make('two')]
  await pod.startWith(one)
  pod.annotate({})
  const fetcher = pod.start()
  await fetcher.line('REFRESH_STATE failures=0 last_digest=')
  await sleep(300)
  t.same(fetcher.markers(), [], 'nothing serves yet')
  pod.say({ activation: 1, digest: one.digest, outcome: 'ok' })
  t.match(await fetcher.marker(1), {
    kind: 'ok',
    digest: hexOf(one.digest),
    pairs: { activation: '1', reused: 'true' },
  })
  t.match(await pod.outcome(1), { digest: one.digest, outcome: 'ok', serving: one.digest })
  t.match(await pod.metrics(), `aether_release_info{digest="${one.digest}"} 1`)

  pod.annotate(one.annotations)
  t.match(await pod.outcome(2), { digest: one.digest, outcome: 'ok', ms: null })
  pod.annotate(two.annotations)
  await eventually('the activation', () => pod.activation().id === 2)
  pod.say({ activation: 2, digest: two.digest, outcome: 'ok' })
  t.match(await fetcher.marker(2), { kind: 'ok', digest: hexOf(two.digest) }, 'no second OK of the first')
  t.match(await pod.outcome(3), { digest: two.digest, outcome: 'ok', serving: two.digest })
  pod.annotate({})
  await sleep(200)
  t.equal(await pod.current(), two.digest)
  t.equal(fetcher.markers().length, 2)
})

await test('the words of an app that did not come up are told in development alone', async (t) => {
  for (const [isDevelopment, told] of [
    ['true', 'SyntaxError: no'],
    ['false', undefined],
  ] as const) {
    const pod = await createPod(t, { AETHER_SUPERVISED: 'true', AETHER_DEVELOPMENT_SIGNATURES: isDevelopment })
    await pod.control.start()
    const one = pod.make('one')
    await pod.startWith(one)
    pod.annotate(one.annotations)
    pod.start()
    const said = { reason: 'unhealthy', detail: 'exited', message: 'exit 1', output: 'SyntaxError: no' } as const
    pod.say({ activation: 1, digest: one.digest, outcome: 'fail', ...said })
    const outcome = await pod.outcome(1)
    t.match(outcome, { outcome: 'fail', message: 'exit 1', output: told })
  }
})

await test('a first release that did not come up is never told to be well', async (t) => {
  const pod = await createPod(t, { AETHER_SUPERVISED: 'true' })
  await pod.control.start()
  const one = pod.make('one')
  await pod.startWith(one)
  pod.annotate(one.annotations)
  const fetcher = pod.start()
  pod.say({
    activation: 1,
    digest: one.digest,
    outcome: 'fail',
    reason: 'unhealthy',
    detail: 'exited',
    message: 'exit 1',
  })
  const failed = { digest: one.digest, outcome: 'fail', serving: null, reason: 'unhealthy' }
  t.match(await pod.outcome(1), failed)
  pod.annotate({ ...one.annotations, 'aether.dev/build-time': 'later' })
  await sleep(300)
  fetcher.kill('SIGTERM')
  await fetcher.exited
  const again = pod.start()
  t.match(await pod.outcome(2), failed, 'a start says so again')
  await again.line('REFRESH_STATE')
  await sleep(300)
  t.equal(pod.control.outcomes.length, 2)
})

await test('what init-fetch activated is gone back to, judged or not, and a refusal is told again after a restart', async (t) => {
  const pod = await createPod(t, { AETHER_SUPERVISED: 'true' })
  await pod.control.start()
  const [one, two] = [pod.make('one'), pod.make('two')]
  await pod.startWith(one)
  pod.annotate(two.annotations)
  const fetcher = pod.start()
  await eventually('the activation', () => pod.activation().id === 2)
  const refused = { activation: 2, outcome: 'fail', reason: 'unhealthy', detail: 'exited', message: 'exit 1' } as const
  pod.say({ ...refused, digest: two.digest })
  t.match(await fetcher.marker(1), { kind: 'fail', reason: 'unhealthy', pairs: { digest: hexOf(two.digest) } })
  t.match(pod.activation(), { id: 3, digest: one.digest, previous: two.digest })
  t.match(await pod.outcome(1), { digest: two.digest, outcome: 'fail', serving: null, detail: 'exited' })

  pod.annotate(one.annotations)
  pod.say({ activation: 3, digest: one.digest, outcome: 'ok' })
  t.match(await fetcher.marker(2), { kind: 'ok', digest: hexOf(one.digest), pairs: { activation: '3' } })
  t.match(await pod.outcome(2), { digest: one.digest, outcome: 'ok', serving: one.digest })
  pod.annotate(two.annotations)
  await eventually('the activation', () => pod.activation().id === 4)
  pod.say({ ...refused, activation: 4, digest: two.digest })
  t.match(await pod.outcome(3), { digest: two.digest, outcome: 'fail', serving: one.digest })
  fetcher.kill('SIGTERM')
  await fetcher.exited
  pod.start()
  t.match(await pod.outcome(4), { digest: two.digest, outcome: 'fail', serving: one.digest, reason: 'unhealthy' })
})
