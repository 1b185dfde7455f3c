// The commands as one tree: what is called how, its help, and where a command begins to run.
import { Command, CommanderError } from 'commander'
import type { CommandDefinition } from './basics/command.ts'
import { Failure } from './basics/failure.ts'
import { environmentHelp } from './basics/settings.ts'
import { version } from './basics/version.ts'
import { appsCreate, appsList } from './commands/apps-commands.ts'
import { rollback, stop } from './commands/change-commands.ts'
import { convert } from './commands/convert-command.ts'
import { deploy } from './commands/deploy-command.ts'
import { dev } from './commands/dev-command.ts'
import { keysAdd, keysGenerate } from './commands/keys-commands.ts'
import { logs } from './commands/logs-command.ts'
import { pack } from './commands/pack-command.ts'
import { listCommand, statusCommand } from './commands/status-commands.ts'

const definitions: readonly CommandDefinition[] = [
  keysGenerate,
  keysAdd,
  appsCreate,
  appsList,
  pack,
  convert,
  deploy,
  dev,
  statusCommand,
  listCommand,
  rollback,
  stop,
  logs,
]

const groups: Readonly<Record<string, string>> = {
  keys: 'make keys, and tell control of them',
  apps: 'register apps, and list them',
}

export type Run = (
  definition: CommandDefinition,
  args: readonly string[],
  options: Readonly<Record<string, unknown>>,
) => Promise<void>

/** Calls `run`, unless help or the version is all that was asked for. Throws Failure `usage`. */
export async function parseAndRun(argv: readonly string[], run: Run): Promise<void> {
  try {
    await createProgram(run).parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return
    throw usageFailure(error, argv)
  }
}

function createProgram(run: Run): Command {
  const program = prepare(new Command('aether'))
    .description(
      'Brings Node apps to Kubernetes pods in seconds, signed, without building an image.\n\n' +
        'The first time: aether keys generate, aether apps create NAME --key aether-signing.pub.pem, aether deploy.',
    )
    .option('--url <url>', 'where control answers (default: AETHER_URL, or http://127.0.0.1:8480)')
    .option('--output <form>', 'text, or json: one object on stdout, all else on stderr (default: text)')
    .option('--debug', 'print the stack of an error too')
    .version(version, '--version', 'print the version')
    .addHelpText(
      'after',
      `\nEnvironment:\n${environmentHelp.map(([name, text]) => `  ${name.padEnd(18)}  ${text}`).join('\n')}`,
    )
    .addHelpText(
      'after',
      '\nExit codes:\n  0 done, 1 failed, 2 wrong usage, 10 configuration or token, 20 npm, git or kubectl, 30 files, 40 control not reached',
    )
  const parents = new Map<string, Command>()
  for (const definition of definitions) {
    const words = definition.usage.split(' ')
    const [first = ''] = words
    const isGrouped = Object.hasOwn(groups, first)
    let parent = program
    if (isGrouped) {
      parent = parents.get(first) ?? prepare(program.command(first)).description(groups[first] ?? '')
      parents.set(first, parent)
    }
    add(parent, (isGrouped ? words.slice(1) : words).join(' '), definition, run)
  }
  return program
}

function add(parent: Command, usage: string, definition: CommandDefinition, run: Run): void {
  const command = prepare(parent.command(usage))
    .summary(definition.summary)
    .description(definition.about)
    .addHelpText('after', `\nExamples:\n${definition.examples.map((example) => `  ${example}`).join('\n')}`)
  for (const [flags, text] of definition.options) {
    // `<file...>` of commander would swallow the arguments that follow: one value a flag, several flags.
    const isList = flags.includes('...')
    if (isList) command.option(flags.replace('...', ''), text, collect)
    else command.option(flags, text)
  }
  command.action(async () => {
    await run(definition, command.args, command.optsWithGlobals())
  })
}

function collect(value: string, all: readonly string[] | undefined): readonly string[] {
  return [...(all ?? []), value]
}

function prepare(command: Command): Command {
  return command
    .exitOverride()
    .allowExcessArguments(false)
    .showHelpAfterError(false)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => {} })
    .helpCommand(false)
}

function usageFailure(error: CommanderError, argv: readonly string[]): Failure {
  const isBare = error.code === 'commander.help'
  const message = isBare ? 'no command was named' : error.message.replace(/^error: /, '').replaceAll('\n', ' ')
  const [first = '', second = ''] = argv
  const named = definitions.find(
    ({ usage }) => usage.split(' ')[0] === first || usage.startsWith(`${first} ${second} `),
  )
  const help =
    named === undefined
      ? 'aether --help'
      : `aether ${Object.hasOwn(groups, first) ? first : named.usage.split(' ')[0]} --help`
  return new Failure('usage', message, { cause: error, next: `${help} shows how it is used` })
}
