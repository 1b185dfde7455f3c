// Configuration from flags and environment, read once. Each read adds a row to --help; finish() throws one error
// that lists every fault. Nothing else reads process.env.
import { parseArgs } from 'node:util'
import { strangeNames } from '@aether/contract/env-names'
import { redactUrl } from '@aether/contract/target'

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(
      `the configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n  ${faults.join('\n  ')}`,
    )
    this.faults = faults
  }
}

/** Thrown by finish() where --help was asked for; `text` is what to print. */
export class HelpAsked extends Error {
  override readonly name = 'HelpAsked'
  readonly text: string

  constructor(text: string) {
    super('help was asked for')
    this.text = text
  }
}

type Env = Readonly<Record<string, string | undefined>>

interface Row {
  readonly name: string
  readonly flag: string
  readonly takes: string
  readonly fallback: string
  readonly help: string
}

export interface ConfigReader {
  text(name: string, fallback: string, help: string): string
  optionalText(name: string, help: string): string | undefined
  /** http(s), without credentials, query and fragment; answered without a slash at its end. */
  optionalUrl(name: string, help: string): string | undefined
  integer(name: string, fallback: number, range: { readonly min: number; readonly max: number }, help: string): number
  boolean(name: string, fallback: boolean, help: string): boolean
  choice<const T extends string>(name: string, values: readonly T[], fallback: T, help: string): T
  /** What `parse` makes of it; its error's message becomes the fault, and the value is not repeated: for secrets. */
  parsed<T>(name: string, takes: string, parse: (value: string) => T, help: string): T | undefined
  /** Ends the reading: warnings for unknown AETHER_* names and rest arguments; throws ConfigError or HelpAsked. */
  finish(): { readonly warnings: readonly string[]; readonly rest: readonly string[] }
}

export function createConfigReader(command: string, purpose: string, argv: readonly string[], env: Env): ConfigReader {
  const rows: Row[] = []
  const faults: string[] = []
  const flags = readFlags(argv)

  function given(name: string, takes: string, fallback: string, help: string): string | undefined {
    const flag = flagOf(name)
    rows.push({ name, flag, takes, fallback, help })
    const value = flags.values.get(flag) ?? env[name] ?? (name.endsWith('_PROXY') ? env[name.toLowerCase()] : undefined)
    return value === undefined || value === '' ? undefined : value
  }
  function fault(name: string, value: string, wanted: string): void {
    faults.push(`${name} (${flagOf(name)}) is ${JSON.stringify(value.slice(0, 80))}: write ${wanted}`)
  }

  return {
    text: (name, fallback, help) => given(name, 'TEXT', fallback, help) ?? fallback,
    optionalText: (name, help) => given(name, 'TEXT', '', help),
    optionalUrl(name, help) {
      const value = given(name, 'URL', '', help)
      if (value === undefined) return undefined
      const url = URL.canParse(value) ? new URL(value) : undefined
      const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:'
      if (url !== undefined && isHttp && `${url.username}${url.password}${url.search}${url.hash}` === '')
        return url.href.replace(/\/+$/, '')
      // What is no URL of ours may hold a password anywhere.
      fault(
        name,
        isHttp ? redactUrl(value) : '(not an http(s) URL)',
        'an http(s) URL without credentials or query, as in https://control.example',
      )
      return undefined
    },
    integer(name, fallback, { min, max }, help) {
      const value = given(name, 'NUMBER', String(fallback), help)
      if (value === undefined) return fallback
      const number = /^-?\d{1,15}$/.test(value) ? Number(value) : Number.NaN
      if (number >= min && number <= max) return number
      fault(name, value, `a whole number from ${min} to ${max}`)
      return fallback
    },
    boolean(name, fallback, help) {
      const value = given(name, 'true|false', String(fallback), help)
      if (value === undefined) return fallback
      if (value === 'true' || value === 'false') return value === 'true'
      fault(name, value, 'true or false')
      return fallback
    },
    choice(name, values, fallback, help) {
      const value = given(name, values.join('|'), fallback, help)
      if (value === undefined) return fallback
      const found = values.find((one) => one === value)
      if (found === undefined) fault(name, value, `one of ${values.join(', ')}`)
      return found ?? fallback
    },
    parsed(name, takes, parse, help) {
      const value = given(name, takes, '', help)
      if (value === undefined) return undefined
      try {
        return parse(value)
      } catch (error) {
        faults.push(`${name} (${flagOf(name)}): ${error instanceof Error ? error.message : 'cannot be read'}`)
        return undefined
      }
    },
    finish() {
      if (flags.help) throw new HelpAsked(formatHelp(command, purpose, rows))
      const known = new Set(rows.map((row) => row.flag))
      for (const flag of flags.values.keys())
        if (!known.has(flag)) faults.push(`${flag} is no flag of ${command}: see ${command} --help`)
      if (faults.length > 0) throw new ConfigError(faults)
      return { warnings: unknownNames(env, new Set(rows.map((row) => row.name))), rest: flags.rest }
    },
  }
}

/** AETHER_READY_PATH -> --ready-path; PORT -> --port. */
function flagOf(name: string): string {
  return `--${name
    .replace(/^AETHER_/, '')
    .toLowerCase()
    .replaceAll('_', '-')}`
}

function readFlags(argv: readonly string[]): { values: Map<string, string>; rest: string[]; help: boolean } {
  // Not strict: which flags there are is known only when every option has been read.
  const { tokens } = parseArgs({ args: [...argv], strict: false, allowPositionals: true, tokens: true })
  const values = new Map<string, string>()
  const rest: string[] = []
  let help = false
  let pending: string | undefined
  for (const token of tokens) {
    if (token.kind === 'option') {
      if (token.rawName === '--help' || token.rawName === '-h') help = true
      else values.set(token.rawName, token.value ?? 'true')
      pending = token.value === undefined ? token.rawName : undefined
    } else if (token.kind === 'positional') {
      if (pending !== undefined) values.set(pending, token.value)
      else rest.push(token.value)
      pending = undefined
    } else pending = undefined
  }
  return { values, rest, help }
}

function unknownNames(env: Env, known: ReadonlySet<string>): string[] {
  return strangeNames(Object.keys(env))
    .filter((name) => !known.has(name))
    .map((name) => `${name} is not known to this version and has no effect`)
}

function formatHelp(command: string, purpose: string, rows: readonly Row[]): string {
  const lines = rows.map(({ name, flag, takes, fallback, help }) => {
    const preset = fallback === '' ? '' : ` (default ${fallback})`
    return `  ${flag} ${takes}, ${name}${preset}\n      ${help}`
  })
  return `${command}: ${purpose}\n\nEach setting is a flag or an environment variable; the flag wins.\n\n${lines.join('\n')}\n`
}
