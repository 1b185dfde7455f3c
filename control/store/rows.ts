// From rows to the types of the model: shape by shape, without a cast, with errors that name the column.
import { type Digest, parseDigest } from '@aether/contract/digest'
import { isObject } from '@aether/contract/json'

export interface Row {
  text(column: string): string
  textOrNull(column: string): string | null
  /** A number, also of a bigint: the driver gives those as text. */
  count(column: string): number
  countOrNull(column: string): number | null
  flag(column: string): boolean
  time(column: string): Date
  digest(column: string): Digest
  digestOrNull(column: string): Digest | null
  oneOf<const T extends string>(column: string, words: readonly T[]): T
  texts(column: string): Readonly<Record<string, string>>
}

export function rowOf(row: unknown): Row {
  if (!isObject(row)) throw new TypeError('a row is no object')
  const wrong = (column: string, wanted: string) => new TypeError(`the database's ${column} is not ${wanted}`)
  const reader: Row = {
    text(column) {
      const value = row[column]
      if (typeof value !== 'string') throw wrong(column, 'a text')
      return value
    },
    textOrNull: (column) => (row[column] === null ? null : reader.text(column)),
    count(column) {
      const value = typeof row[column] === 'string' ? Number(row[column]) : row[column]
      if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong(column, 'a number')
      return value
    },
    countOrNull: (column) => (row[column] === null ? null : reader.count(column)),
    flag(column) {
      const value = row[column]
      if (typeof value !== 'boolean') throw wrong(column, 'true or false')
      return value
    },
    time(column) {
      const value = row[column]
      if (!(value instanceof Date)) throw wrong(column, 'a time')
      return value
    },
    digest: (column) => parseDigest(reader.text(column), `the database's ${column}`),
    digestOrNull: (column) => (row[column] === null ? null : reader.digest(column)),
    oneOf(column, words) {
      const found = words.find((word) => word === row[column])
      if (found === undefined) throw wrong(column, `one of ${words.join(', ')}`)
      return found
    },
    texts(column) {
      const value = row[column]
      if (!isObject(value)) throw wrong(column, 'an object')
      return Object.fromEntries(
        Object.entries(value).map(([name, text]) => {
          if (typeof text !== 'string') throw wrong(`${column}.${name}`, 'a text')
          return [name, text]
        }),
      )
    },
  }
  return reader
}

/** The first row, where there is one. */
export function firstOf<T>(rows: readonly unknown[], parse: (row: Row) => T): T | undefined {
  return rows.length === 0 ? undefined : parse(rowOf(rows[0]))
}

/** The one row that a statement must answer. */
export function onlyOf<T>(rows: readonly unknown[], parse: (row: Row) => T): T {
  return parse(rowOf(rows[0]))
}

export function allOf<T>(rows: readonly unknown[], parse: (row: Row) => T): readonly T[] {
  return rows.map((row) => parse(rowOf(row)))
}

/** Of values in a statement. */
const mostInStatement = 5_000

export function* inParts<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += mostInStatement) yield all.slice(at, at + mostInStatement)
}

const maxText = 2_000

/** A text of anybody's as it may be stored: no NUL, which PostgreSQL refuses, and no more than 2,000 characters. */
export function bounded(text: string): string
export function bounded(text: string | null): string | null
export function bounded(text: string | null): string | null {
  if (text === null) return null
  const plain = text.replaceAll('\0', '').toWellFormed()
  return plain.length <= maxText ? plain : `${plain.slice(0, maxText - 3).toWellFormed()}...`
}
