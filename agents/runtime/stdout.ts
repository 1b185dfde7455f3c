// Whole lines on stdout, each out before the call returns: none is lost when the process ends, and they keep their order.
import { writeSync } from 'node:fs'

const busyMs = 10
const clock = new Int32Array(new SharedArrayBuffer(4))
let isGone = false

/** Waits while the reader is behind, as a pipe does. Where there is no reader any more, or no space, the line is lost: nothing ends for a log. */
export function writeLine(line: string): void {
  if (isGone) return
  const bytes = Buffer.from(`${line}\n`)
  for (let from = 0; from < bytes.length; ) {
    try {
      from += writeSync(1, bytes, from)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      // Whoever gave us the pipe may have made it one that does not wait (O_NONBLOCK is the pipe's, not ours).
      if (code === 'EAGAIN') Atomics.wait(clock, 0, 0, busyMs)
      else {
        isGone = code === 'EPIPE'
        return
      }
    }
  }
}
