// Reads parsed JSON of others field by field: no cast, unknown fields ignored, errors that name the field.
import { isObject } from '@aether/contract/json'

export class AnswerError extends Error {
  override readonly name = 'AnswerError'
}

export interface Answer {
  text(name: string): string
  textOrNull(name: string): string | null
  texts(name: string): readonly string[]
  count(name: string): number
  countOrNull(name: string): number | null
  flag(name: string): boolean
  /** Objects; empty where it is missing. */
  items(name: string): readonly Answer[]
  object(name: string): Answer
  has(name: string): boolean
}

/** `what` is named in each error. Fields that may be null may be missing too. */
export function readAnswer(value: unknown, what: string): Answer {
  if (!isObject(value)) throw new AnswerError(`${what} is not a JSON object`)
  const wrong = (name: string, wanted: string) => new AnswerError(`${what}: ${name} is not ${wanted}`)
  const read = <T>(name: string, isWanted: (field: unknown) => field is T, wanted: string): T => {
    const field = value[name] ?? null
    if (!isWanted(field)) throw wrong(name, wanted)
    return field
  }
  const orNull = <T>(name: string, isWanted: (field: unknown) => field is T, wanted: string): T | null =>
    (value[name] ?? null) === null ? null : read(name, isWanted, `${wanted} or null`)
  return {
    text: (name) => read(name, isText, 'a string'),
    textOrNull: (name) => orNull(name, isText, 'a string'),
    texts: (name) => read(name, isTexts, 'a list of strings'),
    count: (name) => read(name, isNumber, 'a number'),
    countOrNull: (name) => orNull(name, isNumber, 'a number'),
    flag: (name) => read(name, (field) => typeof field === 'boolean', 'true or false'),
    object: (name) => readAnswer(value[name], `${what}: ${name}`),
    has: (name) => (value[name] ?? null) !== null,
    items: (name) =>
      (orNull(name, isList, 'a list') ?? []).map((item, at) => readAnswer(item, `${what}: ${name}[${at}]`)),
  }
}

function isText(field: unknown): field is string {
  return typeof field === 'string'
}

function isTexts(field: unknown): field is readonly string[] {
  return isList(field) && field.every(isText)
}

function isNumber(field: unknown): field is number {
  return typeof field === 'number'
}

function isList(field: unknown): field is readonly unknown[] {
  return Array.isArray(field)
}
