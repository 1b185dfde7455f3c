import { readRefreshOptions } from '@aether/release/options'
import type { RefreshOptions } from '@aether/release/refresh'
import { createConfigReader } from '@aether/runtime/config'
import { type LogLevel, logLevels } from '@aether/runtime/log'

export interface InitFetchConfig {
  readonly app: string
  readonly annotationsFile: string
  readonly terminationLog: string
  readonly logLevel: LogLevel
  readonly refresh: RefreshOptions
  readonly warnings: readonly string[]
}

/** Throws ConfigError, HelpAsked, or ReasonError `key`. */
export function loadConfig(argv: readonly string[], env: NodeJS.ProcessEnv): InitFetchConfig {
  const read = createConfigReader(
    'init-fetch',
    'brings the first release into a new pod before the app starts.',
    argv,
    env,
  )
  const config = {
    app: read.text('AETHER_APP', 'app', 'Name of the app in markers.'),
    annotationsFile: read.text(
      'AETHER_ANNOTATIONS_FILE',
      '/etc/podinfo/annotations',
      "Downward-API file of the pod's annotations.",
    ),
    terminationLog: read.text(
      'AETHER_TERMINATION_LOG',
      '/dev/termination-log',
      'Where the reason of a failure is left for Kubernetes.',
    ),
    logLevel: read.choice('AETHER_LOG_LEVEL', logLevels, 'info', 'Least level that is logged.'),
    refresh: readRefreshOptions(read),
  }
  return Object.freeze({ ...config, warnings: read.finish().warnings })
}
