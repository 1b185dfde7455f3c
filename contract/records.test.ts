// What agents leave for each other in files, and a trace in an annotation: read back, and refused by field where broken.
import { test } from 'tap'
import { formatActivation, parseActivation } from './activation.ts'
import { digestFromHex } from './digest.ts'
import { formatSupervisorState, parseSupervisorState, type SupervisorState } from './supervisor-state.ts'
import { nasty } from './test-values.ts'
import { formatTraceparent, parseTraceparent } from './traceparent.ts'

const hex = '0123456789abcdef'.repeat(4)
const digest = digestFromHex(hex)

await test('an activation reads back, and a broken one names its field', async (t) => {
  const activation = { id: 7, digest, previous: null, at: '2026-01-01T00:00:00.000Z', commit: 'abc', repaired: true }
  t.strictSame(parseActivation(formatActivation(activation)), activation)
  t.strictSame(parseActivation(formatActivation({ ...activation, previous: digest, commit: null })).previous, digest)
  t.equal(parseActivation(JSON.stringify({ ...activation, repaired: undefined })).repaired, false, 'an older one')
  for (const [change, says] of [
    [{ id: -1 }, /activation\.json: id is not a whole number/],
    [{ id: 1.5 }, /id/],
    [{ id: '7' }, /id/],
    [{ digest: 'x' }, /activation\.json: digest/],
    [{ digest: 5 }, /digest is not a string/],
    [{ previous: 'x' }, /previous/],
    [{ at: null }, /at is not a string/],
    [{ commit: 5 }, /commit/],
    [{ repaired: 'yes' }, /repaired is not true or false/],
  ] as const)
    t.throws(() => parseActivation(JSON.stringify({ ...activation, ...change })), { message: says })
  for (const text of ['', '{', '[]', 'null', '"x"', '{}'])
    t.throws(() => parseActivation(text), { message: /activation\.json/ })
})

await test('a supervisor state reads back, is cut to size, and a broken one names its field', async (t) => {
  const state: SupervisorState = {
    activation: 3,
    digest,
    instance: 'i',
    state: 'serving',
    outcome: 'fail',
    reason: 'unhealthy',
    detail: 'not_ready',
    message: 'it "did" not\nstart',
    output: 'no such module',
    lastGood: null,
    refused: [digest],
    inUse: [],
    swap: { startMs: 1.5, readyMs: 30, firstAnswerMs: null },
    since: '2026-01-01T00:00:00.000Z',
  }
  t.strictSame(parseSupervisorState(formatSupervisorState(state)), state)
  t.equal(parseSupervisorState(JSON.stringify({ ...state, detail: undefined })).detail, null, 'of an older supervisor')
  t.equal(parseSupervisorState(JSON.stringify({ ...state, swap: undefined })).swap, null, 'of an older supervisor')
  const answered = { startMs: 0, readyMs: 0, firstAnswerMs: 0 }
  t.strictSame(parseSupervisorState(formatSupervisorState({ ...state, swap: answered })).swap, answered)
  const long = parseSupervisorState(
    formatSupervisorState({ ...state, message: 'm'.repeat(900), instance: 'i'.repeat(90) }),
  )
  t.strictSame([long.message?.length, long.instance.length], [500, 64])
  for (const [change, says] of [
    [{ activation: 1e99 }, /activation is not a whole number/],
    [{ digest: '../../etc' }, /supervisor\.json: digest is/],
    [{ state: 'dancing' }, /state is none of waiting/],
    [{ outcome: 'maybe' }, /outcome is none of pending, ok, fail/],
    [{ reason: 'because' }, /reason is not one of the table/],
    [{ reason: 'constructor' }, /reason/],
    [{ detail: 'budget' }, /detail is not one of the reason/],
    [{ detail: 'constructor' }, /detail is not one of the reason/],
    [{ detail: 1 }, /detail is not a string or null/],
    [{ reason: null }, /detail is not one of the reason/],
    [{ message: {} }, /message is not a string or null/],
    [{ refused: 'x' }, /refused is not a list/],
    [{ refused: [1] }, /refused/],
    [{ inUse: ['/etc'] }, /inUse/],
    [{ swap: 'fast' }, /swap is not an object or null/],
    [{ swap: {} }, /swap has times that no swap can have/],
    [{ swap: { startMs: 2, readyMs: 1, firstAnswerMs: null } }, /swap has times/],
    [{ swap: { startMs: -1, readyMs: 1, firstAnswerMs: null } }, /swap has times/],
    [{ swap: { startMs: 1, readyMs: 2, firstAnswerMs: 1e99 } }, /swap has times/],
    [{ swap: { startMs: 1, readyMs: 2, firstAnswerMs: '3' } }, /swap has times/],
  ] as const)
    t.throws(() => parseSupervisorState(JSON.stringify({ ...state, ...change })), { message: says })
})

await test('a traceparent is read by the rules of W3C Trace Context, and a malformed one is none', async (t) => {
  const [trace, span] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7']
  const text = `00-${trace}-${span}-01`
  t.strictSame(parseTraceparent(` ${text} `), { traceId: trace, spanId: span, isSampled: true })
  t.equal(parseTraceparent(`00-${trace}-${span}-02`)?.isSampled, false)
  t.ok(parseTraceparent(`01-${trace}-${span}-01-more`), 'a later version may say more')
  for (const bad of [
    undefined,
    null,
    '',
    'x',
    `${text}-more`,
    `ff-${trace}-${span}-01`,
    `00-${'0'.repeat(32)}-${span}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    text.toUpperCase(),
    ...nasty,
  ])
    t.equal(parseTraceparent(bad), undefined)
  const read = parseTraceparent(text)
  t.equal(read === undefined ? '' : formatTraceparent(read), text)
})
