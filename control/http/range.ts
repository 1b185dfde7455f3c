// One byte range of a request, and the conditions in front of it (RFC 9110, sections 13 and 14).
import { ControlError } from '../domain/errors.ts'
import type { ByteRange } from '../domain/ports.ts'

/** If-None-Match: whether the caller has what `etag` names. Weak comparison, as section 13.1.2 says. */
export function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  return ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)
}

/**
 * The range to send, or null for all of it: none asked for, not of our unit, several at once, or If-Range names
 * something else (section 14.2 lets a server ignore them). Throws `range` where it begins behind the end.
 */
export function parseRange(
  range: string | undefined,
  ifRange: string | undefined,
  etag: string,
  size: number,
): ByteRange | null {
  if (range === undefined || (ifRange !== undefined && ifRange.trim() !== etag)) return null
  const [, first = '', last = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range.trim()) ?? []
  if (first === '' && last === '') return null
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (first !== '' && last !== '' && Number(last) < start) return null
  if (start <= end) return { start, end }
  throw new ControlError('range', `the artifact has ${size} bytes, and the range begins behind them`, {
    field: 'range',
  })
}
