// The flags of one command as they were typed, read one by one; a wrong value is a Failure that names the flag.
import { Failure } from './failure.ts'

export interface Flags {
  text(name: string): string | undefined
  count(name: string, range: { readonly min: number; readonly max: number }): number | undefined
  isSet(name: string): boolean
  /** False for `--no-<name>`, undefined where neither was typed. */
  choice(name: string): boolean | undefined
  list(name: string): readonly string[]
}

/** `options` as commander gives them, by the camel-case name: `--dry-run` is `dryRun`. */
export function createFlags(options: Readonly<Record<string, unknown>>): Flags {
  const text = (name: string): string | undefined => {
    const value = options[camelCase(name)]
    return typeof value === 'string' ? value : undefined
  }
  return {
    text(name) {
      const value = text(name)
      if (value === '') throw wrongFlag(name, value, 'a value')
      return value
    },
    count(name, { min, max }) {
      const value = text(name)
      if (value === undefined) return undefined
      const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN
      if (number >= min && number <= max) return number
      throw wrongFlag(name, value, `a whole number from ${min} to ${max}`)
    },
    isSet: (name) => options[camelCase(name)] === true,
    choice(name) {
      const value = options[camelCase(name)]
      return typeof value === 'boolean' ? value : undefined
    },
    list(name) {
      const value = options[camelCase(name)]
      return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
    },
  }
}

export function wrongFlag(name: string, value: string, wanted: string): Failure {
  return new Failure('usage', `--${name} is ${JSON.stringify(value.slice(0, 80))}`, { next: `write ${wanted}` })
}

/** `K=V` each; the last of a name counts. */
export function parsePairs(flag: string, pairs: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(pair) ?? []
      // The value may be a secret: it is not repeated.
      if (name === undefined || value === undefined)
        throw new Failure('usage', `--${flag} has a value that is no NAME=VALUE`, {
          next: `write --${flag} LOG_LEVEL=debug`,
        })
      return [name, value]
    }),
  )
}

function camelCase(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
