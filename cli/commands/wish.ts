// What a deployment shall be, as far as the flags and the settings say.
import type { CommandDefinition } from '../basics/command.ts'
import type { Flags } from '../basics/flags.ts'
import { parsePairs } from '../basics/flags.ts'
import type { Settings } from '../basics/settings.ts'

export interface Wish {
  readonly replicas: number | undefined
  readonly env: Readonly<Record<string, string>> | undefined
  readonly timeoutMs: number
}

/** Of the commands that say it, as --help shows them. */
export const specOptions: CommandDefinition['options'] = [
  ['--app <name>', "name of the app (default: package.json's name)"],
  ['--namespace <name>', 'namespace of the app (default: default)'],
  ['--environment <name>', 'such as staging; control may take development keys for it'],
  ['--replicas <n>', 'number of pods'],
  ['--port <n>', 'port that the app listens on (it gets it as PORT)'],
  ['--ready-path <path>', 'path that answers 2xx when the app is ready'],
]

/** Fields of the API; what was not said stays as it is, or becomes control's default. */
export function specOf({ devHot, environment, port, readyPath }: Settings, { replicas, env }: Wish) {
  return {
    dev_hot: devHot,
    ...(environment === undefined ? {} : { environment: environment.value }),
    ...(port === undefined ? {} : { port: port.value }),
    ...(readyPath === undefined ? {} : { ready_path: readyPath.value }),
    ...(replicas === undefined ? {} : { replicas }),
    ...(env === undefined ? {} : { env }),
  }
}

export function readWish(flags: Flags): Wish {
  const pairs = flags.list('env')
  return {
    replicas: flags.count('replicas', { min: 0, max: 1_000 }),
    env: pairs.length === 0 ? undefined : parsePairs('env', pairs),
    timeoutMs: (flags.count('timeout', { min: 1, max: 86_400 }) ?? 300) * 1_000,
  }
}
