// A key's point, multiplied by what each signature says. @noble/ed25519 knows a key by its 32 bytes and doubles its point 252
// times for each signature, which is most of what verifying costs; a pod has one key for months, so its doublings are kept.
import { Point } from '@noble/ed25519'

/** Bits of the scalar that one step takes; its digits are -8 to 8. */
const windowBits = 4
const half = 1 << (windowBits - 1)
/** Of scalars below the order of the group, which has 253 bits: the last one takes the carry too. */
const windows = 64
const order = Point.CURVE().n

/** By windows: 1 to `half` times the point, times 16 for each window before. 512 points, some 130 KB. */
function multiplesOf(point: Point): readonly (readonly Point[])[] {
  let base = point
  return Array.from({ length: windows }, () => {
    const row = [base]
    for (let n = 1; n < half; n++) row.push((row.at(-1) ?? base).add(base))
    base = (row.at(-1) ?? base).double()
    return row
  })
}

/** Answers a multiplication of the point by scalars from 0 to the order of the group; anything else throws RangeError. Not for secrets: its time tells the scalar. */
export function createKeyPoint(point: Point): (scalar: bigint) => Point {
  const rows = multiplesOf(point)
  return (scalar) => {
    if (scalar < 0n || scalar >= order) throw new RangeError('the scalar is not below the order of the group')
    const digits = scalar.toString(2 ** windowBits).padStart(windows, '0')
    let sum = Point.ZERO
    let carry = 0
    for (const [at, row] of rows.entries()) {
      const digit = Number.parseInt(digits.charAt(windows - 1 - at), 2 ** windowBits) + carry
      carry = digit > half ? 1 : 0
      const left = carry === 0 ? digit : digit - 2 * half
      const multiple = row[Math.abs(left) - 1]
      if (multiple !== undefined) sum = sum.add(left < 0 ? multiple.negate() : multiple)
    }
    return sum
  }
}
