// The pods of the app: until they are ready, who they are, what their fetcher said, and programs run inside them.
import { type Marker, parseMarker } from '@aether/contract/markers'
import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node'
import type { Scenario } from './scenario.ts'
import { until } from './until.ts'

export interface Pod {
  readonly name: string
  readonly ip: string
  /** Its uid and each container's restarts: equal before and after means that it is the same pod, never restarted. */
  readonly identity: string
}

export async function listPods({ cluster, namespace }: Scenario): Promise<readonly V1Pod[]> {
  const { items } = await cluster.core.listNamespacedPod({ namespace, labelSelector: 'app=hello' })
  return items.toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)))
}

/** Waits until exactly `count` pods are there, all ready. */
export function readyPods(scenario: Scenario, count: number): Promise<readonly Pod[]> {
  return until(`${count} ready pods of hello`, async () => {
    const pods = await listPods(scenario)
    return pods.length === count && pods.every(isReady) ? pods.map(describePod) : undefined
  })
}

/** The pods as they are. */
export async function currentPods(scenario: Scenario): Promise<readonly Pod[]> {
  return (await listPods(scenario)).map(describePod)
}

export function containerStatuses(pod: V1Pod): readonly V1ContainerStatus[] {
  return [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]
}

export function nameOf(pod: V1Pod): string {
  return pod.metadata?.name ?? ''
}

export async function logLines({ cluster, namespace }: Scenario, pod: string, container: string) {
  const text = await cluster.core.readNamespacedPodLog({ namespace, name: pod, container })
  return text.split('\n')
}

/**
 * A line that `isWanted`, of the container that runs or of the one before it. A log is written a moment after the kubelet
 * says how a container ended, and a container that is started again has a log of its own.
 */
export function awaitLine(
  { cluster, namespace }: Scenario,
  pod: string,
  container: string,
  what: string,
  isWanted: (line: string) => boolean,
): Promise<string> {
  const read = async (previous: boolean) => {
    const text = await cluster.core.readNamespacedPodLog({ namespace, name: pod, container, previous })
    return text.split('\n').find(isWanted)
  }
  return until(`${what} in the log of ${container} of ${pod}`, async () => (await read(false)) ?? (await read(true)))
}

/** The markers of the pod's fetcher, all since it began. */
export async function readMarkers(scenario: Scenario, pod: string): Promise<readonly Marker[]> {
  return (await logLines(scenario, pod, 'fetcher')).flatMap((line) => parseMarker(line) ?? [])
}

/** The first marker after the first `from` that `isWanted`. */
export function awaitMarker(
  scenario: Scenario,
  pod: string,
  from: number,
  what: string,
  isWanted: (marker: Marker) => boolean,
): Promise<Marker> {
  return until(`${what} from the fetcher of ${pod}`, async () =>
    (await readMarkers(scenario, pod)).slice(from).find(isWanted),
  )
}

/** Runs JavaScript in a container, by the only program there is: node. Answers what it prints. */
export function runInside({ cluster, namespace }: Scenario, pod: string, container: string, script: string) {
  const command = ['/usr/local/bin/node', '--input-type=module', '-e', script]
  return cluster.kubectl(['exec', '-n', namespace, pod, '-c', container, '--', ...command])
}

function isReady(pod: V1Pod): boolean {
  const ready = pod.status?.conditions?.find((condition) => condition.type === 'Ready')
  return ready?.status === 'True' && pod.metadata?.deletionTimestamp === undefined
}

function describePod(pod: V1Pod): Pod {
  const restarts = containerStatuses(pod).map(({ name, restartCount }) => `${name}:${restartCount}`)
  return {
    name: nameOf(pod),
    ip: pod.status?.podIP ?? '',
    identity: [nameOf(pod), pod.metadata?.uid, ...restarts].join(' '),
  }
}
