// What a deployment shall be, as far as the flags and the settings say.
import type { Flags } from '../basics/flags.ts'
import { parsePairs } from '../basics/flags.ts'
import type { Settings } from '../basics/settings.ts'

export interface Wish {
  readonly replicas: number | undefined
  readonly env: Readonly<Record<string, string>> | undefined
  readonly timeoutMs: number
}

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
