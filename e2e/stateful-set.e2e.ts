// What docs/operations.md says of StatefulSets: the template may change without a roll, so that a pod that lives is refreshed
// in place and one that comes later starts with the same.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hexOf } from '@aether/contract/digest'
import { annotatePods } from './kit/deploy.ts'
import { answersOf } from './kit/hello-app.ts'
import { awaitMarker, readyPods } from './kit/pods.ts'
import { annotationsOf, packRelease } from './kit/releases.ts'
import { runScenario } from './kit/run-scenario.ts'

const base = fileURLToPath(new URL('../k8s/base', import.meta.url))

await runScenario('a StatefulSet', async (t, scenario) => {
  const { cluster, config, folder, keys, namespace, tools } = scenario
  const [first, second] = [await packRelease(folder, '1.0.0', keys), await packRelease(folder, '2.0.0', keys)]
  for (const release of [first, second]) await tools.put(release.name, release.file)
  const own = await mkdtemp(join(folder, 'kustomize-'))
  const image = (name: string, reference: string) => {
    const [, newName = '', newTag = ''] = /^(.*):([^:/]+)$/.exec(reference) ?? []
    return { name: `aether.local/${name}`, newName, newTag }
  }
  const patch = [
    { op: 'replace', path: '/kind', value: 'StatefulSet' },
    { op: 'add', path: '/spec/serviceName', value: 'hello' },
    { op: 'add', path: '/spec/updateStrategy', value: { type: 'OnDelete' } },
    { op: 'replace', path: '/spec/replicas', value: 1 },
    { op: 'add', path: '/spec/template/metadata/annotations', value: annotationsOf(first, tools.url(first.name)) },
  ]
  const kustomization = {
    namespace,
    resources: [relative(own, base)],
    images: [image('aether-agent', config.agentImage), image('aether-nodejs', config.nodejsImage)],
    patches: [{ target: { kind: 'Deployment' }, options: { allowKindChange: true }, patch: JSON.stringify(patch) }],
  }
  await writeFile(join(own, 'kustomization.yaml'), JSON.stringify(kustomization))
  await cluster.kubectl(['apply', '-k', own])
  const pods = await readyPods(scenario, 1)
  t.same(await answersOf(scenario, pods), [first.answer], 'it serves')

  const next = annotationsOf(second, tools.url(second.name))
  const template = JSON.stringify({ spec: { template: { metadata: { annotations: next } } } })
  await cluster.kubectl(['patch', 'statefulset/hello', '-n', namespace, '--type=merge', '-p', template])
  await annotatePods(scenario, next)
  const isSecond = (digest: string) => digest === hexOf(second.digest)
  await awaitMarker(scenario, 'hello-0', 0, 'REFRESH_OK', (one) => one.kind === 'ok' && isSecond(one.digest))
  t.same(await answersOf(scenario, pods), [second.answer], 'in place')
  await cluster.kubectl(['scale', 'statefulset/hello', '-n', namespace, '--replicas=2'])
  const both = await readyPods(scenario, 2)
  t.same(both[0], pods[0], 'the pod is the one that it was')
  t.same(await answersOf(scenario, both), [second.answer, second.answer], 'a later one starts with the same')
})
