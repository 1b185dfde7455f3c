// For tests: values that try to be more than values.

/** What values may hold that could end a line, a pair or a quoted string. */
export const nasty: readonly string[] = [
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
