import { test } from 'tap'
import { formatActivation, parseActivation } from './activation.ts'
import { annotations } from './annotations.ts'
import { digestFromHex, hexOf, isDigest, parseDigest } from './digest.ts'
import { currentLinkTarget, digestOfReleaseName, layoutOf, releaseName } from './layout.ts'
import { formatRefreshFail, formatRefreshOk, formatRefreshState, parseMarker } from './markers.ts'
import { formatPodinfo, parsePodinfo } from './podinfo.ts'
import { ReasonError } from './reasons.ts'
import { formatSupervisorState, parseSupervisorState, type SupervisorState } from './supervisor-state.ts'
import { isSameTarget, parseTarget, redactUrl } from './target.ts'
import { formatTraceparent, parseTraceparent } from './traceparent.ts'

const hex = '0123456789abcdef'.repeat(4)
const digest = digestFromHex(hex)
const url = 'https://artifacts.example/app.tar.gz'

// What values may hold that could end a line, a pair or a quoted string.
const nasty = [
  '',
  ' ',
  'two words',
  'a\nREFRESH_OK app=x digest=y ms=1',
  'a\r\nREFRESH_FAIL',
  'a reason=download',
  '\u2028line\u2029',
  '\u0000\u001b[31m',
  '"quoted"',
  "it's",
  '\\',
  '\\"',
  '\\\\n',
  'tab\there',
  'äöü 日本 🚀',
  '\ud800 alone',
  '=',
  'a=b',
  '__proto__',
]

await test('a digest is sha256: and 64 lowercase hex characters, and its error says how to write one', async (t) => {
  t.equal(parseDigest(` ${digest}\n`), digest)
  t.equal(hexOf(digest), hex)
  for (const wrong of [
    '',
    hex,
    `sha256:${hex.toUpperCase()}`,
    `sha256:${hex}0`,
    `sha512:${hex}`,
    `sha256:${hex.slice(1)}`,
    `x${digest}`,
  ]) {
    t.notOk(isDigest(wrong))
    t.throws(() => parseDigest(wrong, annotations.digest), {
      reason: 'target',
      detail: 'digest_malformed',
      message: /^aether\.dev\/digest is ".*": write sha256: and 64 lowercase hex characters/,
    })
  }
  t.throws(() => parseDigest('x'.repeat(5000)), { message: /^.{0,250}$/ }, 'a long value is not repeated whole')
})

await test('the name of a release gives its digest back, and no other name gives one', async (t) => {
  t.equal(digestOfReleaseName(releaseName(digest)), digest)
  t.equal(currentLinkTarget(digest), `releases/sha256-${hex}`)
  for (const name of ['', 'sha256-', hex, `sha256-${hex}.tmp`, `sha256-${hex.toUpperCase()}`, `../sha256-${hex}`])
    t.equal(digestOfReleaseName(name), undefined)
  t.match(layoutOf('/v'), { workspace: '/v/workspace', releases: '/v/workspace/releases', staging: '/v/staging' })
})

await test('annotations make a target, or none where none is asked for', async (t) => {
  const all = { [annotations.digest]: digest, [annotations.artifactUrl]: url, other: 'ignored' }
  t.match(parseTarget(all), { digest, artifactUrl: url })
  t.equal(parseTarget({}), undefined)
  t.equal(parseTarget({ other: 'x' }), undefined)
  t.equal(parseTarget({ [annotations.signature]: 'only this' }), undefined)
  t.equal(parseTarget({ ...all, [annotations.devHot]: 'false' }), undefined)
  t.match(parseTarget({ ...all, [annotations.devHot]: 'true' }), { digest })
  t.match(parseTarget({ ...all, [annotations.signature]: ' ab12\n' }), { signature: 'ab12' })
  t.notOk('signature' in (parseTarget({ ...all, [annotations.signature]: '  ' }) ?? {}))
  const commit = (text: string) => parseTarget({ ...all, [annotations.buildCommit]: text })?.commit
  t.equal(commit('0123456789abcdef0123'), '0123456789ab')
  for (const wrong of ['a b', 'a"b', 'a\nb', '', '🚀']) t.equal(commit(wrong), undefined)
  t.ok(isSameTarget(parseTarget(all), parseTarget({ ...all, [annotations.buildCommit]: 'x' })))
  t.notOk(isSameTarget(parseTarget(all), parseTarget({ ...all, [annotations.signature]: 'x' })))
  t.notOk(isSameTarget(parseTarget(all), undefined))
})

await test('annotations that make no target name themselves and the remedy, and repeat no credential', async (t) => {
  const rows: readonly [string, Record<string, string>, RegExp][] = [
    ['digest_missing', { [annotations.artifactUrl]: url }, /aether\.dev\/digest is missing .*one annotate/],
    [
      'digest_malformed',
      { [annotations.digest]: 'latest', [annotations.artifactUrl]: url },
      /aether\.dev\/digest is "latest": write/,
    ],
    ['url_missing', { [annotations.digest]: digest }, /aether\.dev\/artifact-url is missing: write/],
    ['url_missing', withUrl('  '), /aether\.dev\/artifact-url is missing: write/],
    ['url_malformed', withUrl('app.tar.gz?token=hunter2'), /aether\.dev\/artifact-url is not a URL: write it whole/],
    ['url_malformed', withUrl('http://user:hunter2@[/x'), /aether\.dev\/artifact-url is not a URL/],
    ['url_scheme', withUrl('file:///etc/hunter2'), /aether\.dev\/artifact-url has the scheme file: .*http/],
    ['url_scheme', withUrl('javascript:hunter2'), /aether\.dev\/artifact-url/],
    ['url_scheme', withUrl('s3://hunter2@bucket/x'), /aether\.dev\/artifact-url/],
    [
      'url_credentials',
      withUrl('https://user:hunter2@host/x?token=hunter2#hunter2'),
      /artifact-url carries credentials.*host\/x\?\.\.\..*publish/,
    ],
    ['url_credentials', withUrl('https://hunter2@host/'), /artifact-url carries credentials/],
    ['dev_hot_malformed', { [annotations.devHot]: 'yes' }, /aether\.dev\/dev-hot is "yes": write "true"/],
  ]
  for (const [detail, all, says] of rows) {
    t.throws(() => parseTarget(all), { reason: 'target', detail, message: says })
    t.throws(() => parseTarget(all), { message: /^(?!.*hunter2)/ })
    t.throws(() => parseTarget(all), ReasonError)
  }
  t.equal(redactUrl('https://u:p@h:1/a/b?q=1#f'), 'https://***@h:1/a/b?...')
  t.equal(redactUrl('nonsense'), '(not a URL)')
})

await test('a marker is one line of words, and reads back', async (t) => {
  const ok = formatRefreshOk({ app: 'shop', digest: hex, ms: 12.6 }, { reused: 'true', bytes: 5, left_out: undefined })
  t.equal(ok, `REFRESH_OK app=shop digest=${hex} ms=13 reused=true bytes=5`)
  t.match(parseMarker(`${ok}\n`), { kind: 'ok', app: 'shop', digest: hex, ms: 13, pairs: { bytes: '5' } })
  const fail = formatRefreshFail({ app: 'shop', reason: 'checksum', ms: -1 }, { detail: 'stale' })
  t.equal(fail, 'REFRESH_FAIL app=shop reason=checksum ms=0 detail=stale')
  t.match(parseMarker(fail), { kind: 'fail', reason: 'checksum', pairs: { detail: 'stale' } })
  t.equal(formatRefreshState(3, ''), 'REFRESH_STATE failures=3 last_digest=')
  t.match(parseMarker(formatRefreshState(3, hex)), { kind: 'state', failures: 3, lastDigest: hex })
})

await test('no value can forge a marker, a pair or a line', async (t) => {
  for (const value of nasty) {
    const lines = [
      formatRefreshOk({ app: value, digest: hex, ms: 1 }, { detail: value }),
      formatRefreshFail({ app: value, reason: 'extract', ms: 1 }, { detail: value }),
    ]
    for (const line of lines) {
      t.match(line, /^[\x21-\x7e]+( [\x21-\x7e]+){4}$/, 'five printable words')
      const marker = parseMarker(line)
      t.ok(marker !== undefined && marker.kind !== 'state' && Object.keys(marker.pairs).length === 4)
    }
  }
})

await test('what is not a whole marker is none', async (t) => {
  const none = [
    '',
    'REFRESH_OK',
    `REFRESH_OK app=a digest=${hex}`,
    `REFRESH_OK app=a digest=${hex.slice(1)} ms=1`,
    `REFRESH_OK app=a digest=${hex.toUpperCase()} ms=1`,
    `REFRESH_OK app=a digest=${hex} ms=-1`,
    `REFRESH_OK app=a digest=${hex} ms=1e3`,
    `REFRESH_OK app=a digest=${hex} ms=1 word`,
    `REFRESH_OK app=a digest=${hex} ms=1 =x`,
    ` REFRESH_OK app=a digest=${hex} ms=1`,
    `{"msg":"REFRESH_OK app=a digest=${hex} ms=1"}`,
    'REFRESH_FAIL app=a reason=nonsense ms=1',
    'REFRESH_FAIL app=a reason=toString ms=1',
    'REFRESH_STATE failures=x last_digest=',
    'REFRESH_STATE failures=1',
  ]
  for (const line of none) t.equal(parseMarker(line), undefined, line)
})

await test('annotations go through a podinfo file unchanged', async (t) => {
  const all = Object.fromEntries(nasty.map((value, n) => [`example.com/key-${n}`, value]))
  const file = formatPodinfo(all)
  t.equal(file.split('\n').length, nasty.length + 1, 'one line each')
  t.strictSame(parsePodinfo(file), all)
})

await test('a podinfo file as Kubernetes writes it is read: quoted as by strconv.Quote of Go', async (t) => {
  const file = [
    'kubernetes.io/config.seen="2026-01-01T00:00:00.000000000Z"',
    String.raw`a="tab\t newline\n return\r quote\" backslash\\ bell\a back\b feed\f vertical\v"`,
    String.raw`b="\x00\x7f\u00e9\u2028\U0001f680é"`,
    'json="{\\"a\\":[\\"b=c\\"]}"',
    'empty=""',
    `${annotations.digest}="${digest}"`,
  ].join('\n')
  t.strictSame(parsePodinfo(file), {
    'kubernetes.io/config.seen': '2026-01-01T00:00:00.000000000Z',
    a: 'tab\t newline\n return\r quote" backslash\\ bell\x07 back\b feed\f vertical\v',
    b: '\0\x7f\u00e9\u2028🚀é',
    json: '{"a":["b=c"]}',
    empty: '',
    [annotations.digest]: digest,
  })
})

await test('a broken line of a stranger never hides ours', async (t) => {
  const strangers = [
    '',
    'no equals',
    'x=unquoted',
    'x="open',
    'x="a"b"',
    '="v"',
    'two words="v"',
    'x="\\"',
    String.raw`x="\U00110000 \Uffffffff \u12 \xZZ \q"`,
    '\0',
    '__proto__="x"',
    'x="y" z',
  ]
  for (const stranger of strangers) {
    const ours = `${annotations.digest}="${digest}"`
    t.equal(parsePodinfo(`${stranger}\n${ours}\n${stranger}`)[annotations.digest], digest, JSON.stringify(stranger))
  }
})

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

function withUrl(text: string): Record<string, string> {
  return { [annotations.digest]: digest, [annotations.artifactUrl]: text }
}

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
