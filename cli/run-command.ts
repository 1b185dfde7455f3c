// One command from its arguments to its exit code: output by its form, Ctrl-C as an abort that cleans up, every fault in
// one shape.
import { cliExitCodes } from '@aether/contract/exit-codes'
import type { CommandDefinition } from './basics/command.ts'
import { Failure, toFailure } from './basics/failure.ts'
import { createFlags } from './basics/flags.ts'
import { createOutput, type Streams } from './basics/output.ts'
import { type Env, refuseStrangeNames } from './basics/settings.ts'
import { parseAndRun } from './program.ts'

export interface World extends Streams {
  readonly argv: readonly string[]
  readonly env: Env
  readonly cwd: string
  /** Calls back at SIGINT, SIGTERM and a stdout that nobody reads any more. */
  readonly onSignal: (interrupt: (exitCode: number) => void) => void
}

export async function runCommand(world: World): Promise<number> {
  const { argv, env, cwd } = world
  const abort = new AbortController()
  let interrupted: number | undefined
  world.onSignal((exitCode) => {
    interrupted ??= exitCode
    abort.abort()
  })
  const output = createOutput(world, {
    isJson: asksForJson(argv),
    noColour: Boolean(env.NO_COLOR),
    withStack: argv.includes('--debug') || env.AETHER_DEBUG === 'true',
  })
  const run = async (
    definition: CommandDefinition,
    args: readonly string[],
    options: Readonly<Record<string, unknown>>,
  ) => {
    const flags = createFlags(options)
    const form = flags.text('output')
    if (form !== undefined && form !== 'text' && form !== 'json')
      throw new Failure('usage', `--output is ${JSON.stringify(form.slice(0, 80))}`, { next: 'write text or json' })
    refuseStrangeNames(env)
    const result = await definition.run({ args, flags, env, cwd, output, signal: abort.signal })
    if (result !== undefined) output.result(result)
  }
  try {
    await parseAndRun(argv, run)
    return cliExitCodes.ok
  } catch (error) {
    if (interrupted !== undefined) {
      output.failure(new Failure('failed', 'interrupted; what had begun was cleaned up'))
      return interrupted
    }
    const failure = toFailure(error)
    output.failure(failure)
    return cliExitCodes[failure.kind]
  }
}

/** Known before the arguments are parsed, because a fault in them must have the form that was asked for. */
function asksForJson(argv: readonly string[]): boolean {
  return argv.some((word, at) => word === '--output=json' || (word === '--output' && argv[at + 1] === 'json'))
}
