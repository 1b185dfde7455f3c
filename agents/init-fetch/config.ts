import { readControlSettings, readRefreshOptions } from '@aether/release/options'
import type { RefreshOptions } from '@aether/release/refresh'
import { createConfigReader } from '@aether/runtime/config'
import type { ControlSettings } from '@aether/runtime/control-token'
import { type LogLevel, logLevels } from '@aether/runtime/log'

export interface InitFetchConfig {
  readonly app: string
  readonly annotationsFile: string
  readonly terminationLog: string
  readonly control: ControlSettings | undefined
  /** What is done where control gave no answer for `controlWaitMs`. */
  readonly controlFallback: 'wait' | 'annotations'
  readonly controlWaitMs: number
  /** What is done where the annotations name no target. */
  readonly noTarget: 'fail' | 'start'
  readonly logLevel: LogLevel
  readonly refresh: RefreshOptions
  readonly warnings: readonly string[]
}

/** Rejects with ConfigError, HelpAsked, or ReasonError `key`. */
export async function loadConfig(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<InitFetchConfig> {
  const read = createConfigReader(
    'init-fetch',
    'brings the first release into a new pod before the app starts.',
    argv,
    env,
  )
  const control = readControlSettings(read)
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
    control,
    controlFallback: read.choice(
      'AETHER_CONTROL_FALLBACK',
      ['wait', 'annotations'],
      'wait',
      "Where control gave no answer in time: wait fails, so that Kubernetes starts it again; annotations takes the pod's, which may be old.",
    ),
    controlWaitMs:
      1000 *
      read.integer('AETHER_CONTROL_WAIT_SEC', 300, { min: 0, max: 86_400 }, "Longest wait for control's answer."),
    noTarget: read.choice(
      'AETHER_NO_TARGET',
      ['fail', 'start'],
      'fail',
      "Where the pod's annotations name no target: fail; or start, and let the app wait for the first one (aether dev --pods).",
    ),
    logLevel: read.choice('AETHER_LOG_LEVEL', logLevels, 'info', 'Least level that is logged.'),
    refresh: await readRefreshOptions(read, control),
  }
  return Object.freeze({ ...config, warnings: read.finish().warnings })
}
