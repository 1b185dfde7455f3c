// The stream to the developer's machine: frames in, frames out, and an end where the other side is silent.
import type { Readable, Writable } from 'node:stream'
import { beatMs, createFrameReader, encodeFrame, type Frame, silentMs } from '@aether/contract/relay-frames'

export interface Line {
  /** False where the other side is slow: wait for `onDrain`. */
  send(frame: Buffer): boolean
  onDrain(then: () => void): void
  /** One receiver. While what it was given is not taken, nothing more is read. */
  receive(take: (frame: Frame) => Promise<void> | undefined): void
  readonly ended: Promise<void>
}

export function createLine(from: Readable, to: Writable): Line {
  let take: (frame: Frame) => Promise<void> | undefined = () => undefined
  let heardAt = performance.now()
  const over = Promise.withResolvers<void>()
  const beat = setInterval(() => {
    if (performance.now() - heardAt > silentMs) over.resolve()
    to.write(encodeFrame('beat'))
  }, beatMs)
  beat.unref()
  to.on('error', () => over.resolve())

  async function read(): Promise<void> {
    const frames = createFrameReader()
    for await (const piece of from) {
      heardAt = performance.now()
      for (const frame of frames(piece)) {
        const taking = take(frame)
        if (taking !== undefined) await taking
        heardAt = performance.now()
      }
    }
  }
  void read()
    .catch(() => undefined)
    .then(over.resolve)

  return {
    send: (frame) => to.write(frame),
    onDrain: (then) => void to.once('drain', then),
    receive(receiver) {
      take = receiver
    },
    ended: over.promise,
  }
}
