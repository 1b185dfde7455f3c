// What a command is: how it is called, what --help teaches of it, and what it does.
import type { Flags } from './flags.ts'
import type { Output } from './output.ts'
import type { Env } from './settings.ts'

export interface CommandContext {
  readonly args: readonly string[]
  readonly flags: Flags
  readonly env: Env
  readonly cwd: string
  readonly output: Output
  readonly signal: AbortSignal
}

export interface CommandDefinition {
  /** As in `apps create <name>`: words, then arguments. */
  readonly usage: string
  /** One line for the list of commands. */
  readonly summary: string
  /** A paragraph. */
  readonly about: string
  /** As commander writes them. One that ends in `...` may be given several times. */
  readonly options: readonly (readonly [flags: string, text: string])[]
  readonly examples: readonly string[]
  /** Answers what `--output json` prints, or undefined where the command has no such form. */
  run(context: CommandContext): Promise<Readonly<Record<string, unknown>> | undefined>
}
