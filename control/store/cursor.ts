// Pages by key, not by offset: a cursor is the key of the last row shown, so rows that come or go meanwhile move nothing.
import { ControlError } from '../domain/errors.ts'
import type { Page, Paged } from '../domain/model.ts'
import { allOf, type Row, rowOf } from './rows.ts'

/** The key after which the page begins, where `pattern` takes it; null for the first page. */
export function keyAfter({ after }: Page, pattern: RegExp): string | null {
  if (after === null) return null
  const key = Buffer.from(after, 'base64url').toString()
  if (pattern.test(key) && encode(key) === after) return key
  throw new ControlError('malformed', 'after is no cursor: send `next` of the page before, or nothing', {
    field: 'after',
  })
}

/** A page of rows that were asked for with a limit of one more than the page has, which tells whether there are others. */
export function pageOf<T>(rows: readonly unknown[], { limit }: Page, key: string, parse: (row: Row) => T): Paged<T> {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const next = rows.length > limit && last !== undefined ? encode(rowOf(last).text(key)) : null
  return { items: allOf(shown, parse), next }
}

/** Of a bigint, as the driver gives it. */
export const sequencePattern = /^[0-9]{1,18}$/

function encode(key: string): string {
  return Buffer.from(key).toString('base64url')
}
