// One refresh of one pod, measured inside the cluster: from the PATCH of its annotations to the first answer of the new release.
import type { Pod } from './pods.ts'
import { annotationsOf, type Release } from './releases.ts'
import type { Scenario } from './scenario.ts'
import type { Measured } from './tools/protocol.ts'
import { patienceMs } from './until.ts'

/** AETHER_MIN_REFRESH_INTERVAL_MS of the fetcher. */
export const minRefreshIntervalMs = 2000
/** Of k8s/base. */
const readinessPeriodMs = 1000

/**
 * The moment is spread over the period of the readiness probe, because the drain waits for the next probe. It comes when
 * the fetcher's pause after an activation is over, and so when the pod has been quiet for longer than the kubelet's look
 * at its containers (1 s): a pod that was synced since the last look gets its next sync, and with it the annotations file,
 * only after the next one.
 */
export function measureRefresh({ tools }: Scenario, pod: Pod, release: Release): Promise<Measured> {
  return tools.measure({
    targets: [{ host: pod.ip, port: 8080, path: '/' }],
    expected: release.answer,
    change: { kind: 'annotations', pods: [pod.name], annotations: annotationsOf(release, tools.url(release.name)) },
    everyMs: 5,
    quietMs: minRefreshIntervalMs + Math.random() * readinessPeriodMs,
    warmMs: 100,
    settleMs: 300,
    limitMs: patienceMs,
  })
}
