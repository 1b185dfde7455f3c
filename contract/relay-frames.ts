// What `aether dev --pods` and the relay in a pod say to each other over the stream of one `kubectl exec`: frames, in both
// directions. A connection is numbered by the relay, where it was made; its bytes are HTTP, and neither end looks at them.
//
//   kind (1 byte) · connection (4 bytes) · length (4 bytes) · so many bytes

/** `records` and `beat` belong to no connection: number 0. */
export const frameKinds = ['open', 'data', 'end', 'records', 'beat', 'taken'] as const
export type FrameKind = (typeof frameKinds)[number]

export interface Frame {
  readonly kind: FrameKind
  readonly connection: number
  readonly bytes: Buffer
}

/** Where the relay listens, on loopback: the pod's own, which all its containers share. */
export const relayPort = 19_466
export const relayOrigin: string = `http://127.0.0.1:${relayPort}`

/** Each side says so often that it is there, and is believed gone after four times of silence. */
export const beatMs = 5_000
export const silentMs: number = 4 * beatMs

const headBytes = 9
const maxBytes = 4 * 1024 * 1024

export function encodeFrame(kind: FrameKind, connection = 0, bytes: Uint8Array = Buffer.alloc(0)): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + bytes.length)
  frame.writeUInt8(frameKinds.indexOf(kind), 0)
  frame.writeUInt32BE(connection, 1)
  frame.writeUInt32BE(bytes.length, 5)
  frame.set(bytes, headBytes)
  return frame
}

/** Answers the whole frames of what came, piece by piece. Throws an Error where it is no stream of frames. */
export function createFrameReader(): (piece: Uint8Array) => readonly Frame[] {
  let rest: Buffer = Buffer.alloc(0)
  return (piece) => {
    rest = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece])
    const frames: Frame[] = []
    for (;;) {
      const kind = rest.length < headBytes ? undefined : frameKinds[rest.readUInt8(0)]
      if (rest.length < headBytes) return frames
      const length = rest.readUInt32BE(5)
      if (kind === undefined || length > maxBytes) throw new Error('what came is no frame')
      if (rest.length < headBytes + length) return frames
      frames.push({ kind, connection: rest.readUInt32BE(1), bytes: rest.subarray(headBytes, headBytes + length) })
      rest = rest.subarray(headBytes + length)
    }
  }
}
