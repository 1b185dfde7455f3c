// The annotations file of the downward API.
import { test } from 'tap'
import { annotations } from './annotations.ts'
import { digestFromHex } from './digest.ts'
import { formatPodinfo, parsePodinfo } from './podinfo.ts'
import { nasty } from './test-values.ts'

const hex = '0123456789abcdef'.repeat(4)
const digest = digestFromHex(hex)

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
