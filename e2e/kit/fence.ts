// The fence of k8s/fence over the scenario's namespace and no other: under a name of its own, owned by the namespace, so
// that the cluster takes it away with it.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Scenario } from './scenario.ts'

const fence = fileURLToPath(new URL('../../k8s/fence', import.meta.url))

export async function raiseFence({ cluster, folder, namespace }: Scenario): Promise<void> {
  const { metadata } = await cluster.core.readNamespace({ name: namespace })
  const owner = { apiVersion: 'v1', kind: 'Namespace', name: namespace, uid: metadata?.uid }
  const own = [
    { op: 'replace', path: '/metadata/name', value: `${namespace}-fence` },
    { op: 'add', path: '/metadata/ownerReferences', value: [owner] },
  ]
  const here = [
    { op: 'replace', path: '/spec/policyName', value: `${namespace}-fence` },
    {
      op: 'add',
      path: '/spec/matchResources/namespaceSelector/matchLabels/kubernetes.io~1metadata.name',
      value: namespace,
    },
  ]
  const patch = (kind: string, operations: readonly object[]) => ({
    target: { kind },
    options: { allowNameChange: true },
    patch: JSON.stringify(operations),
  })
  const folderOfOwn = await mkdtemp(join(folder, 'kustomize-'))
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: [relative(folderOfOwn, fence)],
    patches: [patch('ValidatingAdmissionPolicyBinding', [...own, ...here]), patch('ValidatingAdmissionPolicy', own)],
  }
  await writeFile(join(folderOfOwn, 'kustomization.yaml'), JSON.stringify(kustomization))
  await cluster.kubectl(['apply', '-k', folderOfOwn])
  await cluster.kubectl(['label', 'namespace', namespace, 'aether.dev/fence=enforce'])
}
