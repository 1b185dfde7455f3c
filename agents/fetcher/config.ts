import { readControlSettings, readRefreshOptions } from '@aether/release/options'
import type { RefreshOptions } from '@aether/release/refresh'
import { createConfigReader } from '@aether/runtime/config'
import type { ControlSettings } from '@aether/runtime/control-token'
import { type LogLevel, logLevels } from '@aether/runtime/log'
import { readTraceOptions, type TraceOptions } from '@aether/runtime/trace-options'

export interface FetcherConfig {
  readonly app: string
  readonly mode: 'watch' | 'poll' | 'file'
  readonly annotationsFile: string
  readonly intervalMs: number
  readonly pod: { readonly name: string; readonly namespace: string; readonly uid: string }
  readonly api: { readonly url: string; readonly credentialsDir: string }
  readonly control: ControlSettings | undefined
  readonly traces: TraceOptions | undefined
  readonly supervised: boolean
  readonly verdictTimeoutMs: number
  readonly runDir: string
  readonly keepReleases: number
  readonly minIntervalMs: number
  readonly maxRetries: number
  readonly anomalyThreshold: number
  /** 0 is no check. */
  /** Whether a clone of the release that serves is kept, to be changed into the next one. */
  readonly standby: boolean
  readonly driftIntervalMs: number
  readonly driftBytesPerSec: number
  /** 0 is never. */
  readonly tellAgainMs: number
  readonly healthPort: number
  readonly healthHost: string
  readonly logLevel: LogLevel
  readonly refresh: RefreshOptions
  readonly warnings: readonly string[]
}

/** Rejects with ConfigError, HelpAsked, or ReasonError `key`. */
export async function loadConfig(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<FetcherConfig> {
  const read = createConfigReader(
    'fetcher',
    "follows the pod's annotations and refreshes the release in place.",
    argv,
    env,
  )
  const host = read.text(
    'KUBERNETES_SERVICE_HOST',
    'kubernetes.default.svc',
    'API server, as Kubernetes sets it in a pod.',
  )
  const port = read.text('KUBERNETES_SERVICE_PORT', '443', 'Port of the API server, as Kubernetes sets it in a pod.')
  const control = readControlSettings(read)
  const config = {
    app: read.text('AETHER_APP', 'app', 'Name of the app in markers and metrics.'),
    mode: read.choice(
      'AETHER_FETCH_MODE',
      ['watch', 'poll', 'file'],
      'watch',
      'Where the target comes from: a watch on the API server, a question to it at each interval, or the downward-API file.',
    ),
    annotationsFile: read.text(
      'AETHER_ANNOTATIONS_FILE',
      '/etc/podinfo/annotations',
      'Mode file: the downward-API file.',
    ),
    intervalMs:
      1000 *
      read.integer(
        'AETHER_FETCH_INTERVAL_SEC',
        5,
        { min: 1, max: 3600 },
        'Mode poll: seconds between questions. Mode file: seconds between reads that no event asked for.',
      ),
    pod: {
      name: read.text('AETHER_POD_NAME', '', 'Modes watch and poll: name of this pod (fieldRef metadata.name).'),
      namespace: read.text(
        'AETHER_POD_NAMESPACE',
        '',
        'Modes watch and poll: its namespace (fieldRef metadata.namespace).',
      ),
      uid: read.text(
        'AETHER_POD_UID',
        '',
        'Its uid (fieldRef metadata.uid): writes an Event for each outcome; needs create on events.',
      ),
    },
    api: {
      url: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
      credentialsDir: read.text(
        'AETHER_API_CREDENTIALS_DIR',
        '/var/run/secrets/kubernetes.io/serviceaccount',
        'Modes watch and poll: folder of token and ca.crt.',
      ),
    },
    control,
    traces: readTraceOptions(read),
    supervised: read.boolean('AETHER_SUPERVISED', false, "true waits for the supervisor's verdict before REFRESH_OK."),
    verdictTimeoutMs: read.integer(
      'AETHER_VERDICT_TIMEOUT_MS',
      120_000,
      { min: 100, max: 3_600_000 },
      "Longest wait for a running supervisor's verdict.",
    ),
    runDir: read.text('AETHER_RUN_DIR', '/run/aether', 'Folder of supervisor.json.'),
    keepReleases: read.integer('AETHER_KEEP_RELEASES', 3, { min: 2, max: 100 }, 'Releases kept on disk.'),
    minIntervalMs: read.integer(
      'AETHER_MIN_REFRESH_INTERVAL_MS',
      2000,
      { min: 0, max: 3_600_000 },
      'Least time from one activation to the next; a target that comes earlier waits, and the last one wins.',
    ),
    maxRetries: read.integer(
      'AETHER_MAX_RETRIES',
      8,
      { min: 0, max: 1000 },
      'Quick retries of a failed download before they come once a minute.',
    ),
    anomalyThreshold: read.integer(
      'AETHER_ANOMALY_FAIL_THRESHOLD',
      7,
      { min: 1, max: 1_000_000 },
      'Failures in a row from which on retries come once a minute, whatever their reason.',
    ),
    standby: read.boolean(
      'AETHER_STANDBY',
      true,
      'true keeps a clone of a release that is a tree, by hard links, so that the next one takes the time of what changed.',
    ),
    driftIntervalMs:
      1000 *
      read.integer(
        'AETHER_DRIFT_INTERVAL_SEC',
        3600,
        { min: 0, max: 1_000_000 },
        'Seconds between checks of the release that serves against its manifest; 0 is none.',
      ),
    driftBytesPerSec: read.integer(
      'AETHER_DRIFT_MAX_BYTES_PER_SEC',
      33_554_432,
      { min: 1024, max: Number.MAX_SAFE_INTEGER },
      'Most bytes a second that are read for a manifest or a check.',
    ),
    tellAgainMs:
      1000 *
      read.integer(
        'AETHER_CONTROL_AGAIN_SEC',
        600,
        { min: 0, max: 1_000_000 },
        'Seconds until control is told the last outcome again; 0 is never.',
      ),
    healthPort: read.integer(
      'AETHER_HEALTH_PORT',
      19_465,
      { min: 0, max: 65_535 },
      'Port of /livez, /readyz and /metrics.',
    ),
    healthHost: read.text('AETHER_HEALTH_HOST', '', 'Address that port is bound to; none is all, IPv4 and IPv6.'),
    logLevel: read.choice('AETHER_LOG_LEVEL', logLevels, 'info', 'Least level that is logged.'),
    refresh: await readRefreshOptions(read, control),
  }
  return Object.freeze({ ...config, warnings: read.finish().warnings })
}
