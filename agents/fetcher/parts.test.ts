import { refusal } from '@aether/contract/reasons'
import { test } from 'tap'
import { createDelivery } from './delivery.ts'
import { createMailbox } from './mailbox.ts'
import { createPace } from './pace.ts'

const never = new AbortController().signal

await test('the mailbox holds the last value only, and takes no news for none', async (t) => {
  const mailbox = createMailbox<string>((a, b) => a === b)
  mailbox.put('a')
  mailbox.put('b')
  t.equal(await mailbox.take(0, never), 'b')
  mailbox.put('b')
  t.equal(await mailbox.take(5, never), undefined, 'the same again is no news')
  const waiting = mailbox.take(Number.POSITIVE_INFINITY, never)
  mailbox.put('c')
  t.equal(await waiting, 'c')
})

await test('what arrives while a value is worked on is seen, also between taking and looking', async (t) => {
  const mailbox = createMailbox<string>((a, b) => a === b)
  mailbox.put('a')
  await mailbox.take(0, never)
  t.notOk(mailbox.arrival().aborted)
  const before = mailbox.arrival()
  mailbox.put('b')
  t.ok(before.aborted)
  t.ok(mailbox.arrival().aborted, 'until it is taken')
  await mailbox.take(0, never)
  t.notOk(mailbox.arrival().aborted)
})

await test('an end that is asked for ends the wait', async (t) => {
  const stop = new AbortController()
  const waiting = createMailbox<string>(() => false).take(Number.POSITIVE_INFINITY, stop.signal)
  stop.abort()
  t.equal(await waiting, undefined)
})

const unreachable = refusal('download', 'unreachable', '')
const isBusy = refusal('download', 'http_status', '', { retryAfterMs: 7000 })
const paceOptions = { minIntervalMs: 2000, maxRetries: 8, anomalyThreshold: 100, random: () => 1 }

await test('retries grow to five seconds with jitter, then come once a minute; some wait for annotations', async (t) => {
  const pace = createPace(paceOptions)
  t.same(
    [1, 2, 3, 4, 5, 8].map((tries) => pace.retryMs(unreachable, tries, tries)),
    [500, 1000, 2000, 4000, 5000, 5000],
  )
  t.equal(createPace({ ...paceOptions, random: () => 0 }).retryMs(unreachable, 1, 1), 250)
  t.equal(pace.retryMs(unreachable, 9, 9), 60_000)
  t.equal(pace.retryMs(refusal('checksum', 'mismatch', ''), 1, 1), 60_000)
  t.equal(pace.retryMs(refusal('signature', 'invalid', ''), 1, 1), Number.POSITIVE_INFINITY)
  for (const detail of ['too_large', 'origin_refused', 'address_refused'] as const)
    t.equal(pace.retryMs(refusal('download', detail, ''), 1, 1), 60_000, `${detail} heals in no second`)
  t.equal(pace.retryMs(isBusy, 1, 1), 7500, 'a busy server is left alone as long as it asks')
  t.equal(pace.retryMs(isBusy, 9, 9), 60_000)
})

await test('at the threshold of failures in a row every retry is slow, and the anomaly is one event', async (t) => {
  const pace = createPace({ ...paceOptions, anomalyThreshold: 3 })
  t.same(
    [1, 2, 3, 4].map((failures) => pace.retryMs(unreachable, 1, failures)),
    [500, 500, 60_000, 60_000],
  )
  t.same(
    [1, 2, 3, 4].map((failures) => pace.isAnomaly(failures)),
    [false, false, true, false],
  )
})

await test('between two activations the minimum interval is kept', async (t) => {
  const pace = createPace(paceOptions)
  t.equal(pace.restMs(5), 0, 'the first comes at once')
  pace.activated(1000)
  t.same(
    [1000, 2500, 3000, 9000].map((now) => pace.restMs(now)),
    [2000, 500, 0, 0],
  )
})

await test('two deliveries are the same when nothing of ours was written between them', async (t) => {
  const key = (all: Record<string, string>) => createDelivery(all, 0).key
  t.equal(key({ 'aether.dev/digest': 'x', other: '1' }), key({ other: '2', 'aether.dev/digest': 'x' }))
  t.not(key({ 'aether.dev/digest': 'x' }), key({ 'aether.dev/digest': 'x', 'aether.dev/build-time': 'now' }))
  t.match(
    createDelivery({ 'aether.dev/build-time': 'now' }, 0),
    { asked: undefined, fault: undefined },
    'no target is no fault',
  )
  t.match(createDelivery({ 'aether.dev/digest': 'x' }, 0).fault, { reason: 'target', detail: 'digest_malformed' })
})
