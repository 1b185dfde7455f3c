// Pods whose node has none of the images: pulled from a registry at each start, under `restricted`, and refreshed.
import { fileURLToPath } from 'node:url'
import { hexOf } from '@aether/contract/digest'
import { type Test, test } from 'tap'
import { annotatePods, applyPatched } from './kit/deploy.ts'
import { answersOf } from './kit/hello-app.ts'
import { pushImages, whyNoRegistry } from './kit/local-registry.ts'
import { awaitMarker, containerStatuses, listPods, readyPods } from './kit/pods.ts'
import { annotationsOf, packRelease } from './kit/releases.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'

const base = fileURLToPath(new URL('../k8s/base', import.meta.url))

const title = 'pulled images'
const why = await whyNoRegistry()
if (why === undefined) await runScenario(title, pulled)
else await test(title, { skip: why }, async () => {})

async function pulled(t: Test, scenario: Scenario): Promise<void> {
  const { cluster, folder, keys, namespace, tools } = scenario
  const pushed = await pushImages(t)
  const imageOf = (name: string) => [...pushed.keys()].find((reference) => reference.includes(`/${name}:`)) ?? name
  const container = (name: string, image: string) => ({ name, image: imageOf(image), imagePullPolicy: 'Always' })

  const releases = await Promise.all(['1.0.0', '2.0.0'].map((version) => packRelease(folder, version, keys)))
  const [first, second] = releases
  if (first === undefined || second === undefined) throw new Error('two releases were packed')
  for (const release of releases) await tools.put(release.name, release.file)
  await applyPatched(scenario, base, {
    replicas: 1,
    template: {
      metadata: { annotations: annotationsOf(first, tools.url(first.name)) },
      spec: {
        initContainers: [container('init-fetch', 'aether-agent'), container('fetcher', 'aether-agent')],
        containers: [container('app', 'aether-nodejs')],
      },
    },
  })
  const pods = await readyPods(scenario, 1)
  t.same(await answersOf(scenario, pods), [first.answer], 'it serves')
  for (const { name, image, imageID } of (await listPods(scenario)).flatMap(containerStatuses))
    t.match(imageID, pushed.get(image), `${name} runs ${image} by the digest that was pushed`)
  const events = await cluster.kubectl(['get', 'events', '-n', namespace, '-o', 'jsonpath={.items[*].message}'])
  for (const reference of ['aether-agent', 'aether-nodejs'].map(imageOf))
    t.match(events, `Successfully pulled image "${reference}"`, `${reference} was pulled`)

  await annotatePods(scenario, annotationsOf(second, tools.url(second.name)))
  const [pod] = pods
  if (pod === undefined) throw new Error('one pod was asked for')
  const isSecond = (digest: string) => digest === hexOf(second.digest)
  await awaitMarker(scenario, pod.name, 0, 'REFRESH_OK', (one) => one.kind === 'ok' && isSecond(one.digest))
  t.same(await answersOf(scenario, pods), [second.answer], 'and is refreshed in place')
  t.same(await readyPods(scenario, 1), pods, 'as the same pod')
}
