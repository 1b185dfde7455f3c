// Names, labels and help of the metrics. A label's values come from closed sets (commit: the last five).
export interface MetricSpec<L extends string = string> {
  readonly name: string
  readonly help: string
  readonly labels: readonly L[]
}

export const metrics = {
  refreshTotal: {
    name: 'dev_hot_refresh_total',
    help: 'Refreshes that ended with the new release serving (supervised) or active (not).',
    labels: ['app', 'commit'],
  },
  refreshFailureTotal: {
    name: 'dev_hot_refresh_failure_total',
    help: 'Refreshes that failed, by reason of the reasons table.',
    labels: ['app', 'reason', 'commit'],
  },
  refreshLatencySeconds: {
    name: 'dev_hot_refresh_latency_seconds',
    help: 'From the event that brought the target to the end of its refresh, successful ones.',
    labels: ['app'],
  },
  refreshConsecutiveFailures: {
    name: 'dev_hot_refresh_consecutive_failures',
    help: 'Failures since the last success.',
    labels: ['app'],
  },
  signatureFailTotal: {
    name: 'dev_hot_signature_fail_total',
    help: 'Targets refused because their signature did not hold or was missing.',
    labels: ['app'],
  },
  buildInfo: {
    name: 'aether_build_info',
    help: 'Always 1; the version of this agent.',
    labels: ['agent', 'version', 'node'],
  },
  swapSeconds: {
    name: 'aether_swap_seconds',
    help: 'From the activation seen to the verdict on it.',
    labels: ['strategy', 'outcome'],
  },
  appRestartsTotal: {
    name: 'aether_app_restarts_total',
    help: 'Starts of the app after it ended by itself.',
    labels: [],
  },
} as const satisfies Record<string, MetricSpec>
