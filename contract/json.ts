// Reads the small JSON records that processes leave for each other: shape by shape, no cast, errors that name the field.

export class RecordError extends Error {
  override readonly name = 'RecordError'
}

export interface Fields {
  text(name: string): string
  textOrNull(name: string): string | null
  /** Null also where it is missing, as in the record of an older version. */
  textIfAny(name: string): string | null
  list(name: string): readonly string[]
  objectOrNull(name: string): Readonly<Record<string, unknown>> | null
  /** Null also where it is missing, as in the record of an older version. */
  objectIfAny(name: string): Readonly<Record<string, unknown>> | null
  /** A whole number from 0 on. */
  count(name: string): number
  /** False also where it is missing, as in the record of an older version. */
  isTrue(name: string): boolean
}

/** Parses a JSON object and answers readers of its fields; `what` is named in each error. */
export function parseFields(json: string, what: string): Fields {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new RecordError(`${what} is not JSON`, { cause })
  }
  if (!isObject(value)) throw new RecordError(`${what} is not a JSON object`)
  const fields = value
  const wrong = (name: string, wanted: string) => new RecordError(`${what}: ${name} is not ${wanted}`)
  return {
    text(name) {
      const field = fields[name]
      if (typeof field !== 'string') throw wrong(name, 'a string')
      return field
    },
    textOrNull(name) {
      const field = fields[name]
      if (typeof field !== 'string' && field !== null) throw wrong(name, 'a string or null')
      return field
    },
    textIfAny(name) {
      const field = fields[name] ?? null
      if (typeof field !== 'string' && field !== null) throw wrong(name, 'a string or null')
      return field
    },
    list(name) {
      const field = fields[name]
      if (!isStrings(field)) throw wrong(name, 'a list of strings')
      return field
    },
    objectOrNull(name) {
      const field = fields[name]
      if (field !== null && !isObject(field)) throw wrong(name, 'an object or null')
      return field
    },
    objectIfAny(name) {
      const field = fields[name] ?? null
      if (field !== null && !isObject(field)) throw wrong(name, 'an object or null')
      return field
    },
    count(name) {
      const field = fields[name]
      if (typeof field !== 'number' || !Number.isSafeInteger(field) || field < 0) throw wrong(name, 'a whole number')
      return field
    },
    isTrue(name) {
      const field = fields[name] ?? false
      if (typeof field !== 'boolean') throw wrong(name, 'true or false')
      return field
    },
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
