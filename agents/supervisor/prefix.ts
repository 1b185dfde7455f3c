// The app's output with whose it is in front of each line, as pairs: two processes of two releases may write at the same time.
import { Transform } from 'node:stream'

/** Longer lines are cut in pieces of this size. */
const longestLine = 64 * 1024
const newline = 0x0a

/** `prefix` is asked for each line. Bytes are passed on as they are. */
export function prefixLines(prefix: () => string): Transform {
  let rest = Buffer.alloc(0)
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      rest = Buffer.concat([rest, piece])
      const out: Buffer[] = []
      for (;;) {
        const end = rest.indexOf(newline)
        const length = end < 0 || end >= longestLine ? longestLine : end
        if (end < 0 && rest.length < longestLine) break
        out.push(Buffer.from(prefix()), rest.subarray(0, length), Buffer.of(newline))
        rest = rest.subarray(end === length ? length + 1 : length)
      }
      done(null, Buffer.concat(out))
    },
    flush(done) {
      done(null, rest.length === 0 ? null : Buffer.concat([Buffer.from(prefix()), rest, Buffer.of(newline)]))
    },
  })
}
