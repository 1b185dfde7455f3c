// Markers: one line of words each, which no value can forge.
import { test } from 'tap'
import { formatRefreshFail, formatRefreshOk, formatRefreshState, parseMarker } from './markers.ts'
import { nasty } from './test-values.ts'

const hex = '0123456789abcdef'.repeat(4)

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
