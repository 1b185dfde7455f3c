// The downward-API file of a pod's annotations: one `key="value"` a line, the value quoted as by Go's strconv.Quote
// (https://kubernetes.io/docs/concepts/workloads/pods/downward-api/). Any program may write one.

/** Answers the annotations; a line that has not this form is left out, so a broken stranger never hides ours. */
export function parsePodinfo(text: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const match = /^([^=\s]+)="((?:[^"\\]|\\.)*)"$/.exec(line)
    if (match?.[1] !== undefined && match[2] !== undefined) found[match[1]] = unquote(match[2])
  }
  return found
}

export function formatPodinfo(annotations: Readonly<Record<string, string>>): string {
  return Object.entries(annotations)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}\n`)
    .join('')
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' }

function unquote(quoted: string): string {
  return quoted.replaceAll(
    /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U(00(?:0[0-9a-f]|10)[0-9a-f]{4})|(.))/gs,
    (_, x, u, long, one: string) => {
      const hex: string | undefined = x ?? u ?? long
      return hex === undefined ? (escapes[one] ?? one) : String.fromCodePoint(Number.parseInt(hex, 16))
    },
  )
}
