// Refreshes under load from another pod, through the Service: not one request fails; nor when a pod is deleted and its
// Deployment makes another, while there is a second one.
import { hexOf } from '@aether/contract/digest'
import type { Test } from 'tap'
import { loadConfig } from './kit/config.ts'
import { annotatePods, deployHello } from './kit/deploy.ts'
import { awaitMarker, currentPods, type Pod, readMarkers, readyPods } from './kit/pods.ts'
import { annotationsOf, packRelease, type Release } from './kit/releases.ts'
import { reportRows } from './kit/report.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import type { Loaded } from './kit/tools/protocol.ts'

const { overlapRefreshes: refreshes } = loadConfig()
const clients = 32

await runScenario(
  'overlap',
  async (t, scenario) => {
    const { cluster, folder, keys, namespace, tools } = scenario
    const releases: Release[] = []
    for (let at = 0; at <= refreshes + 1; at++) {
      const release = await packRelease(folder, `${at}.0.0`, keys)
      await tools.put(release.name, release.file)
      releases.push(release)
    }
    const [first, ...others] = releases
    if (first === undefined) throw new Error('no release was packed')
    await deployHello(scenario, {
      mode: 'watch',
      replicas: 1,
      annotations: annotationsOf(first, tools.url(first.name)),
      fetcherEnv: { AETHER_MIN_REFRESH_INTERVAL_MS: '0' },
    })
    const pods = await readyPods(scenario, 1)
    const { spec } = await cluster.core.readNamespacedService({ name: 'hello', namespace })
    const load = { address: { host: spec?.clusterIP ?? '', port: 80, path: '/' }, clients, pauseMs: 5, everyMs: 5 }

    await tools.startLoad(load)
    for (const release of others.slice(0, refreshes)) await refresh(t, scenario, pods, release)
    held(t, scenario, `${refreshes} refreshes of one pod`, await tools.endLoad(), releases.slice(0, refreshes + 1))
    t.same(identities(await currentPods(scenario)), identities(pods), 'the same pod, and no container was restarted')

    await cluster.kubectl(['scale', '-n', namespace, 'deployment/hello', '--replicas=2'])
    const [gone, stays] = await readyPods(scenario, 2)
    if (gone === undefined || stays === undefined) throw new Error('two pods were asked for')
    await tools.startLoad(load)
    await cluster.kubectl(['delete', 'pod', '-n', namespace, gone.name])
    const after = await readyPods(scenario, 2)
    t.notOk(identities(after).includes(gone.identity), 'another pod has taken the place of the one that was deleted')
    held(t, scenario, 'one of two pods deleted', await tools.endLoad(), releases)
  },
  180_000 + refreshes * 10_000,
)

async function refresh(t: Test, scenario: Scenario, pods: readonly Pod[], release: Release): Promise<void> {
  const { tools } = scenario
  const from = await Promise.all(pods.map(async (pod) => (await readMarkers(scenario, pod.name)).length))
  await annotatePods(scenario, annotationsOf(release, tools.url(release.name)))
  for (const [at, pod] of pods.entries()) {
    const isOutcome = ({ kind }: { kind: string }) => kind !== 'state' // that of the one before may be written late
    const marker = await awaitMarker(scenario, pod.name, from[at] ?? 0, 'an outcome', isOutcome)
    t.match(marker, { kind: 'ok', digest: hexOf(release.digest) }, `${release.answer} serves from ${pod.name}`)
  }
}

/** Each of `releases` was seen, in the numbers that are told, and not one request failed. */
function held(t: Test, scenario: Scenario, what: string, loaded: Loaded, releases: readonly Release[]): void {
  const { requests, failed, answers, slowestMs, faults } = loaded
  const count = Object.values(failed).reduce((sum, one) => sum + one, 0)
  t.same(faults, [], `${what}: ${count} of ${requests} requests failed`)
  const known = new Set(releases.map(({ answer }) => answer))
  t.same(
    Object.keys(answers).filter((answer) => !known.has(answer)),
    [],
    `${what}: each answer is a release's`,
  )
  reportRows(t, scenario, what, [{ what, requests, failed: count, slowest_ms: Math.round(slowestMs) }])
}

function identities(pods: readonly Pod[]): readonly string[] {
  return pods.map(({ identity }) => identity)
}
