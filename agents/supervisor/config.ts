import { createConfigReader } from '@aether/runtime/config'
import { type LogLevel, logLevels } from '@aether/runtime/log'
import { type Strategy, strategies } from './strategy.ts'

export interface SupervisorConfig {
  readonly app: string
  readonly strategy: Strategy
  readonly appCommand: string | undefined
  readonly port: number
  readonly readyPath: string | undefined
  readonly waitsForReady: boolean
  readonly workspaceDir: string
  readonly runDir: string
  readonly startTimeoutMs: number
  readonly graceMs: number
  readonly drainMaxMs: number
  readonly propagationMs: number
  readonly drainLimitMs: number
  readonly probationMs: number
  readonly cgroupDir: string
  readonly spareMaxBytes: number
  readonly splayMs: number
  readonly prefixesOutput: boolean
  readonly healthPort: number
  readonly healthHost: string
  readonly logLevel: LogLevel
  readonly warnings: readonly string[]
}

/** Throws ConfigError or HelpAsked. */
export function loadConfig(argv: readonly string[], env: NodeJS.ProcessEnv): SupervisorConfig {
  const read = createConfigReader(
    'supervisor',
    'runs the app and replaces its process when the release changes.',
    argv,
    env,
  )
  const config = {
    app: read.text('AETHER_APP', 'app', 'Name of the app in the log.'),
    strategy: read.choice(
      'AETHER_STRATEGY',
      strategies,
      'overlap',
      'overlap: the next process stands beside the one that serves until it is ready. recreate: one process at a time.',
    ),
    appCommand: read.optionalText(
      'AETHER_APP_CMD',
      "The start command; else package.json's scripts.start, its main, or server.js. Run without a shell.",
    ),
    port: read.integer(
      'PORT',
      8080,
      { min: 0, max: 65_535 },
      'The port that the app listens on; the app gets it as PORT. 0: it listens on none, and is ready when it says so or ran for a second.',
    ),
    readyPath: readPath(
      read.text(
        'AETHER_READY_PATH',
        '',
        'Path that answers 2xx when the app is ready; without it, that its port takes connections.',
      ),
    ),
    waitsForReady: read.boolean(
      'AETHER_WAIT_READY',
      false,
      "true: the app is ready when it says process.send('ready'), and not before, whatever it answers.",
    ),
    workspaceDir: read.text('AETHER_WORKSPACE_DIR', '/workspace', 'Folder of current and activation.json.'),
    runDir: read.text('AETHER_RUN_DIR', '/run/aether', 'Folder that supervisor.json is written to.'),
    startTimeoutMs: read.integer(
      'AETHER_START_TIMEOUT_MS',
      30_000,
      { min: 100, max: 3_600_000 },
      'Longest time for a new process to get ready.',
    ),
    graceMs:
      1000 * read.integer('AETHER_SUPERVISOR_GRACE_SEC', 3, { min: 0, max: 3600 }, 'Seconds from SIGTERM to SIGKILL.'),
    drainMaxMs: read.integer(
      'AETHER_DRAIN_MAX_MS',
      1500,
      { min: 0, max: 600_000 },
      'Where nothing will serve (recreate, the end of the pod): longest wait for a readiness probe to see it (at the end: the wait itself).',
    ),
    propagationMs: read.integer(
      'AETHER_PROPAGATION_MS',
      200,
      { min: 0, max: 600_000 },
      'After that probe: time for the endpoint to leave the load balancers.',
    ),
    drainLimitMs: read.integer(
      'AETHER_DRAIN_LIMIT_MS',
      20_000,
      { min: 0, max: 3_600_000 },
      'Longest time for a process that gave way to finish its requests and connections before SIGTERM.',
    ),
    probationMs:
      1000 *
      read.integer(
        'AETHER_PROBATION_SEC',
        60,
        { min: 0, max: 86_400 },
        'After a swap: time in which a release that ends by itself three times is taken back; 0 never.',
      ),
    cgroupDir: read.text(
      'AETHER_CGROUP_DIR',
      '/sys/fs/cgroup',
      "Folder of the container's cgroup, whose memory limit decides whether two processes may stand side by side.",
    ),
    spareMaxBytes:
      1024 *
      1024 *
      read.integer(
        'AETHER_SPARE_MAX_MB',
        32,
        { min: 0, max: 4096 },
        'Most memory of its own, in MiB, for a process that is booted and waits for the next release; 0: none.',
      ),
    splayMs: read.integer(
      'AETHER_SPLAY_MS',
      0,
      { min: 0, max: 3_600_000 },
      'Longest wait before one process at a time is replaced, by the name of the pod: pods annotated at once take turns. 0: none.',
    ),
    prefixesOutput:
      read.choice(
        'AETHER_APP_OUTPUT',
        ['plain', 'prefixed'],
        'plain',
        'prefixed: each line of the app begins with digest=, pid= and stream=. plain: it passes through as it is.',
      ) === 'prefixed',
    healthPort: read.integer(
      'AETHER_HEALTH_PORT',
      19_464,
      { min: 0, max: 65_535 },
      'Port of /livez, /readyz and /metrics.',
    ),
    healthHost: read.text('AETHER_HEALTH_HOST', '', 'Address that port is bound to; none is all, IPv4 and IPv6.'),
    logLevel: read.choice('AETHER_LOG_LEVEL', logLevels, 'info', 'Least level that is logged.'),
  }
  return Object.freeze({ ...config, warnings: read.finish().warnings })
}

function readPath(text: string): string | undefined {
  if (text === '') return undefined
  return text.startsWith('/') ? text : `/${text}`
}
