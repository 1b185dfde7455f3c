// Which release is asked for: its digest, its name on disk, and the annotations that name it.
import { test } from 'tap'
import { annotations } from './annotations.ts'
import { digestFromHex, hexOf, isDigest, parseDigest } from './digest.ts'
import { currentLinkTarget, digestOfReleaseName, layoutOf, releaseName } from './layout.ts'
import { ReasonError } from './reasons.ts'
import { isSameTarget, parseTarget, redactUrl } from './target.ts'

const hex = '0123456789abcdef'.repeat(4)
const digest = digestFromHex(hex)
const url = 'https://artifacts.example/app.tar.gz'

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

function withUrl(text: string): Record<string, string> {
  return { [annotations.digest]: digest, [annotations.artifactUrl]: text }
}
