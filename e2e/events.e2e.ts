// With the overlay `events`: each outcome is an Event on the pod, as `kubectl describe pod` shows it.
import { annotatePods, deployHello } from './kit/deploy.ts'
import { readyPods } from './kit/pods.ts'
import { annotationsOf, packRelease } from './kit/releases.ts'
import { runScenario } from './kit/run-scenario.ts'
import { until } from './kit/until.ts'

await runScenario('events on the pod', async (t, scenario) => {
  const { cluster, folder, keys, namespace, tools } = scenario
  const [v1, v2] = await Promise.all(['1.0.0', '2.0.0'].map((version) => packRelease(folder, version, keys)))
  if (v1 === undefined || v2 === undefined) throw new Error('two releases were packed')
  for (const release of [v1, v2]) await tools.put(release.name, release.file)
  await deployHello(scenario, { mode: 'events', replicas: 1, annotations: annotationsOf(v1, tools.url(v1.name)) })
  const [pod] = await readyPods(scenario, 1)
  if (pod === undefined) throw new Error('one pod was asked for')
  const described = (text: RegExp) =>
    until(`${text} in kubectl describe`, async () =>
      text.test(await cluster.kubectl(['describe', 'pod', '-n', namespace, pod.name])) ? true : undefined,
    )
  t.ok(await described(/Normal +RefreshOk .*aether-fetcher +serves [0-9a-f]{12} after \d+ ms/))
  await annotatePods(scenario, { ...annotationsOf(v2, tools.url(v2.name)), 'aether.dev/signature': '0'.repeat(128) })
  t.ok(await described(/Warning +RefreshFail .*aether-fetcher +signature: the signature does not hold/))
})
