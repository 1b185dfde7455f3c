// Every variable that a process of the suite reads. The containers of a pod often share one environment, so an agent
// warns about an AETHER_* name only where it is none of these; the CLI refuses it.
export const suiteNames: ReadonlySet<string> = new Set([
  'AETHER_ANNOTATIONS_FILE',
  'AETHER_ANOMALY_FAIL_THRESHOLD',
  'AETHER_API_CREDENTIALS_DIR',
  'AETHER_APP',
  'AETHER_APP_CMD',
  'AETHER_BUILD_COMMIT',
  'AETHER_DATA_DIR',
  'AETHER_DEBUG',
  'AETHER_DIGEST',
  'AETHER_DOWNLOAD_IDLE_MS',
  'AETHER_DOWNLOAD_TOTAL_MS',
  'AETHER_DRAIN_MAX_MS',
  'AETHER_FETCH_INTERVAL_SEC',
  'AETHER_FETCH_MODE',
  'AETHER_HEALTH_HOST',
  'AETHER_HEALTH_PORT',
  'AETHER_KEEP_RELEASES',
  'AETHER_LOG_LEVEL',
  'AETHER_MAX_ARTIFACT_BYTES',
  'AETHER_MAX_DEPTH',
  'AETHER_MAX_ENTRIES',
  'AETHER_MAX_RETRIES',
  'AETHER_MAX_UNPACKED_BYTES',
  'AETHER_MIN_REFRESH_INTERVAL_MS',
  'AETHER_NAMESPACE',
  'AETHER_POD_NAME',
  'AETHER_POD_NAMESPACE',
  'AETHER_POD_UID',
  'AETHER_PROPAGATION_MS',
  'AETHER_PUBKEY',
  'AETHER_READY_PATH',
  'AETHER_REQUIRE_SIGNATURE',
  'AETHER_RUN_DIR',
  'AETHER_SIGNING_KEY',
  'AETHER_START_TIMEOUT_MS',
  'AETHER_SUPERVISED',
  'AETHER_SUPERVISOR_GRACE_SEC',
  'AETHER_TERMINATION_LOG',
  'AETHER_TOKEN',
  'AETHER_URL',
  'AETHER_VERDICT_TIMEOUT_MS',
  'AETHER_WORKSPACE_DIR',
  'AETHER_WORKSPACE_MAX_BYTES',
])

/** The AETHER_* names that no part of the suite knows, without those that Kubernetes makes of Services. */
export function strangeNames(names: readonly string[]): readonly string[] {
  return names.filter((name) => name.startsWith('AETHER_') && !suiteNames.has(name) && !injected.test(name))
}

// What Kubernetes injects for Services named aether-*: AETHER_CONTROL_PORT=tcp://..., AETHER_CONTROL_SERVICE_HOST, ...
const injected = /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/
