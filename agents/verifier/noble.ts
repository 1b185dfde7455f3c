// What @noble/ed25519 says of a signature: the second of two implementations.
import { etc, Point } from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'
import { createKeyPoint } from './key-point.ts'
import type { PublicKey } from './keys.ts'

const order = Point.CURVE().n
const keyPoints = new WeakMap<PublicKey, ReturnType<typeof createKeyPoint>>()

/**
 * By noble's points, hash and rules, those of its `verify` with `zip215: false`: RFC 8032 5.1.7, S below the order, A and R
 * canonical, and [8](R + kA - SB) = 0. It is written out here for the key's point alone (key-point.ts), which passed the
 * policy of keys.ts, where noble refuses those of small order in each verification.
 */
export function holdsByNoble(message: Uint8Array, signature: Uint8Array, key: PublicKey): boolean {
  try {
    if (signature.length !== 64) return false
    const timesKey = keyPoints.get(key) ?? createKeyPoint(Point.fromBytes(key.raw, false))
    keyPoints.set(key, timesKey)
    const [r, s] = [signature.subarray(0, 32), signature.subarray(32)]
    const ra = Point.fromBytes(r, false).add(
      timesKey(littleEndian(sha512(etc.concatBytes(r, key.raw, message))) % order),
    )
    return ra
      .subtract(Point.BASE.multiply(littleEndian(s), false))
      .clearCofactor()
      .is0()
  } catch {
    return false
  }
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes.toReversed()).toString('hex')}`)
}
