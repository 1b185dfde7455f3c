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
  patchRatePerMinute: {
    name: 'dev_hot_patch_rate_per_minute',
    help: 'Changes of our annotations seen in the last 60 seconds.',
    labels: ['app'],
  },
  anomalyEventsTotal: {
    name: 'dev_hot_anomaly_events_total',
    help: 'Times that failures in a row reached the threshold, from where on retries are slow.',
    labels: ['app'],
  },
  refreshStageSeconds: {
    name: 'aether_refresh_stage_seconds',
    help: 'Time of each stage of successful refreshes; fetching and extracting overlap and are one.',
    labels: ['stage'],
  },
  artifactBytesTotal: {
    name: 'aether_artifact_bytes_total',
    help: 'Bytes of artifacts that were downloaded (network), or not because the release or its files were on disk (reused).',
    labels: ['source'],
  },
  refreshSourceTotal: {
    name: 'aether_refresh_source_total',
    help: 'Refreshes by where their files came from, and sources of trees that lied or broke, for which another was taken.',
    labels: ['source', 'outcome'],
  },
  watchLastContactSeconds: {
    name: 'aether_watch_last_contact_seconds',
    help: 'Seconds since the API server was last heard from (modes watch and poll).',
    labels: [],
  },
  controlReportFailuresTotal: {
    name: 'aether_control_report_failures_total',
    help: 'Requests to tell control an outcome that failed; only where there is a control.',
    labels: [],
  },
  releaseInfo: {
    name: 'aether_release_info',
    help: 'Always 1; the digest that serves.',
    labels: ['digest'],
  },
  releaseDriftTotal: {
    name: 'aether_release_drift_total',
    help: 'Checks that found the release on disk other than it was verified, by what was found first.',
    labels: ['detail'],
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
  rollbacksTotal: {
    name: 'aether_rollbacks_total',
    help: 'Releases that were refused or taken back, by detail of the reason unhealthy.',
    labels: ['reason'],
  },
  drainRequests: {
    name: 'aether_drain_requests',
    help: 'Requests under way in a process when it began to drain.',
    labels: [],
  },
  drainTimeoutsTotal: {
    name: 'aether_drain_timeouts_total',
    help: 'Processes that were still answering when their time to drain was over.',
    labels: [],
  },
  appRestartsTotal: {
    name: 'aether_app_restarts_total',
    help: 'Starts of the app after it ended by itself.',
    labels: [],
  },
  spareState: {
    name: 'aether_spare_state',
    help: '1 for what the spare process is: off, none, starting or ready; 0 for the others.',
    labels: ['state'],
  },
  httpRequestsTotal: {
    name: 'http_requests_total',
    help: 'Requests that control answered; route is the pattern, none where no route was met, status 499 where the client left.',
    labels: ['method', 'route', 'status'],
  },
  httpRequestDurationSeconds: {
    name: 'http_request_duration_seconds',
    help: 'From the head of a request to the end of its answer.',
    labels: ['method', 'route'],
  },
  artifactsUploadedTotal: {
    name: 'aether_artifacts_uploaded_total',
    help: 'Uploads by what became of them: new, known, refused.',
    labels: ['outcome'],
  },
  artifactUploadBytesTotal: {
    name: 'aether_artifact_upload_bytes_total',
    help: 'Bytes of artifacts that came in, refused ones too.',
    labels: [],
  },
  artifactDownloadBytesTotal: {
    name: 'aether_artifact_download_bytes_total',
    help: 'Bytes of artifacts that were given out.',
    labels: [],
  },
  deploymentStatusTotal: {
    name: 'deployment_status_total',
    help: 'Changes of status: pending, running, failed.',
    labels: ['status'],
  },
  deploymentTimeToRunningSeconds: {
    name: 'deployment_time_to_running_seconds',
    help: 'From a new digest to every pod serving it.',
    labels: [],
  },
  deploymentsRunningTotal: {
    name: 'deployments_running_total',
    help: 'Deployments that run now.',
    labels: [],
  },
  deploymentPropagationSeconds: {
    name: 'aether_deployment_propagation_seconds',
    help: 'From a new digest to the last write of its annotations.',
    labels: [],
  },
} as const satisfies Record<string, MetricSpec>
