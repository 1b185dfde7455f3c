// One change of one contestant: a PATCH from the tools pod, while its pod is asked directly and through its Service.
import { readyPods } from '@aether/e2e/kit/pods'
import { annotationsOf, packApp, type Release } from '@aether/e2e/kit/releases'
import type { Scenario } from '@aether/e2e/kit/scenario'
import type { TargetMeasured } from '@aether/e2e/kit/tools/protocol'
import { patienceMs } from '@aether/e2e/kit/until'
import type { Contestant } from './contestants.ts'

interface Change {
  readonly pod: TargetMeasured
  readonly service: TargetMeasured
}

export interface Entrant {
  readonly contestant: Contestant
  readonly changes: Change[]
  /** To the next release; at most `contestant.changes` times. */
  change(): Promise<void>
}

const everyMs = 5
// Longer than the kubelet's look at its containers (1 s): a pod synced since the last look would get its annotations
// file only after the next one. The fetcher's pause after an activation (2 s) is over by then: the others had their turn.
const quietMs = 1200

/** Deploys the contestant's first release and waits until it is ready. */
export async function enter(contestant: Contestant, scenario: Scenario): Promise<Entrant> {
  const { cluster, folder, keys, namespace, tools } = scenario
  const app = await contestant.makeApp(folder)
  const releases: Release[] = []
  for (let at = 0; at <= contestant.changes; at++) {
    const release = await packApp(app, folder, `${at}.0.0`, keys)
    await tools.put(release.name, release.file)
    releases.push(release)
  }
  const asking = (release: Release) => annotationsOf(release, tools.url(release.name))
  const [first, ...others] = releases
  if (first === undefined) throw new Error('no release was packed')
  await contestant.deploy(scenario, asking(first))
  await readyPods(scenario, 1)
  // By its address, so that no request waits for a name.
  const { spec } = await cluster.core.readNamespacedService({ name: 'hello', namespace })
  const service = { host: spec?.clusterIP ?? '', port: 80, path: '/' }
  const changes: Change[] = []

  return {
    contestant,
    changes,
    async change() {
      const release = others.shift()
      if (release === undefined) throw new Error(`${contestant.name} has no release left`)
      const [pod] = await readyPods(scenario, 1)
      if (pod === undefined) throw new Error('one pod was asked for')
      const { targets } = await tools.measure({
        targets: [{ host: pod.ip, port: 8080, path: '/' }, service],
        expected: release.answer,
        change: { kind: 'annotations', pods: [pod.name], annotations: asking(release) },
        everyMs,
        quietMs: quietMs + Math.random() * contestant.periodMs,
        warmMs: 100,
        settleMs: 300,
        limitMs: patienceMs,
      })
      const [byPod, byService] = targets
      if (byPod?.firstNewMs == null || byService?.firstNewMs == null)
        throw new Error(`${contestant.name}: ${release.answer} did not come in ${patienceMs / 1000} s`)
      changes.push({ pod: byPod, service: byService })
    },
  }
}
