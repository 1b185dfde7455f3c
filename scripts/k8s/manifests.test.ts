// What the manifests promise, overlay by overlay, as Kustomize makes them. e2e/manifests.e2e.ts applies them.
import { suiteNames } from '@aether/contract/env-names'
import { isObject } from '@aether/contract/json'
import { test } from 'tap'
import { at, isOnPath, type KubernetesObject, kustomizations, kustomize, listAt, podOf } from './objects.ts'

const options = isOnPath('kubectl', 'version', '--client') ? {} : { skip: 'kubectl is not on PATH' }
const made =
  options.skip === undefined ? kustomizations().map((folder) => ({ folder, objects: kustomize(folder) })) : []
const ofKind = (objects: readonly KubernetesObject[], kind: string) => objects.filter((one) => one.kind === kind)
const ofFolder = (name: string) => made.find(({ folder }) => folder === name)?.objects ?? []

await test('no pod of ours asks for more than `restricted` gives, or goes without requests', options, (t) => {
  t.ok(made.length >= 12, made.map(({ folder }) => folder).join(', '))
  for (const { folder, objects } of made)
    for (const object of objects) {
      const found = podOf(object)
      if (found === undefined) continue
      const { pod, containers } = found
      const what = `${folder}: ${object.name}`
      t.match(
        pod,
        {
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
        },
        what,
      )
      for (const name of ['hostNetwork', 'hostPID', 'hostIPC']) t.notOk(name in pod, `${what}: ${name}`)
      t.notOk(
        listAt(pod, 'volumes').some((volume) => isObject(volume) && 'hostPath' in volume),
        `${what}: no folder of the node`,
      )
      t.ok(containers.length > 0, what)
      for (const container of containers) {
        const name = `${what}: ${String(at(container, 'name'))}`
        t.match(
          at(container, 'securityContext'),
          { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
          name,
        )
        t.match(at(container, 'resources'), { requests: { cpu: /m$/, memory: /Mi$/ }, limits: { memory: /Mi$/ } }, name)
        // A throttled start is a slow refresh.
        t.equal(at(container, 'resources', 'limits', 'cpu'), undefined, `${name}: no limit on CPU`)
      }
    }
  t.end()
})

await test('a token is there for ten minutes, and for the one container that asks the API server', options, (t) => {
  for (const { folder, objects } of made) {
    for (const account of ofKind(objects, 'ServiceAccount'))
      t.equal(at(account.whole, 'automountServiceAccountToken'), false, `${folder}: ${account.name}`)
    for (const object of objects) {
      const found = podOf(object)
      if (found === undefined) continue
      const withToken = listAt(found.pod, 'volumes').filter((volume) => tokensOf(volume).length > 0)
      const mounting = found.containers.filter((container) =>
        listAt(container, 'volumeMounts').some((mount) =>
          withToken.some((one) => at(one, 'name') === at(mount, 'name')),
        ),
      )
      const expected = folder === 'overlays/no-token' ? [] : [object.name === 'aether-control' ? 'control' : 'fetcher']
      t.same(
        mounting.map((container) => at(container, 'name')),
        expected,
        `${folder}: who mounts one`,
      )
      for (const token of withToken.flatMap(tokensOf)) t.match(token, { path: 'token', expirationSeconds: 600 })
    }
  }
  t.same(
    ofFolder('overlays/no-token').map(({ kind }) => kind),
    ['Service', 'Deployment'],
    'without a token there is no account and no right either',
  )
  t.end()
})

function tokensOf(volume: unknown): readonly unknown[] {
  return listAt(volume, 'projected', 'sources').flatMap((source) => at(source, 'serviceAccountToken') ?? [])
}

await test('the rights are as small as docs/security.md says', options, (t) => {
  const rules = (folder: string, kind: string, name: string) => {
    const [found] = ofFolder(folder).filter((one) => one.kind === kind && one.name === name)
    return listAt(found?.whole, 'rules')
  }
  const follow = [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] }]
  t.same(rules('rbac', 'Role', 'aether-dev-hot'), follow)
  const ofControl = rules('control', 'Role', 'aether-control')
  t.ok(ofControl.length > 0)
  t.same(
    rules('overlays/control-all-namespaces', 'ClusterRole', 'aether-control'),
    ofControl,
    'over all namespaces the same',
  )
  t.same(ofKind(ofFolder('overlays/control-all-namespaces'), 'Role'), [], 'and not twice')
  for (const { folder, objects } of made)
    for (const role of [...ofKind(objects, 'Role'), ...ofKind(objects, 'ClusterRole')])
      for (const rule of listAt(role.whole, 'rules')) {
        const words = [...listAt(rule, 'resources'), ...listAt(rule, 'verbs'), ...listAt(rule, 'apiGroups')]
        t.notOk(words.includes('*') || words.includes('secrets'), `${folder}: ${role.name} ${words.join(' ')}`)
      }
  t.end()
})

await test('init-fetch is the first, and both agents are told the same of keys and volume', options, (t) => {
  for (const { folder, objects } of made)
    for (const object of objects.filter((one) => one.name === 'hello' && podOf(one) !== undefined)) {
      const [initFetch, fetcher, app, ...others] = podOf(object)?.containers ?? []
      const names = [initFetch, fetcher, app].map((container) => at(container, 'name'))
      t.same([...names, others.length], ['init-fetch', 'fetcher', 'app', 0], folder)
      t.equal(at(fetcher, 'restartPolicy'), 'Always', `${folder}: a native sidecar`)
      const shared = ['AETHER_APP', 'AETHER_PUBKEY', 'AETHER_WORKSPACE_MAX_BYTES', 'AETHER_ARTIFACT_ORIGINS']
      const said = (container: unknown) =>
        listAt(container, 'env').filter((one) => shared.includes(String(at(one, 'name'))))
      t.same(said(initFetch), said(fetcher), folder)
      const mount = listAt(app, 'volumeMounts').find((one) => at(one, 'mountPath') === '/workspace')
      t.match(
        mount,
        { name: 'releases', subPath: 'workspace', readOnly: true },
        `${folder}: the app reads its releases`,
      )
    }
  t.end()
})

await test('every variable that a manifest sets is one that some process reads', options, (t) => {
  let seen = 0
  for (const { folder, objects } of made)
    for (const object of objects)
      for (const container of podOf(object)?.containers ?? [])
        for (const variable of listAt(container, 'env')) {
          seen++
          t.ok(suiteNames.has(String(at(variable, 'name'))), `${folder}: ${String(at(variable, 'name'))}`)
        }
  t.ok(seen > 20, `${seen} variables`)
  t.end()
})

await test('budgets, spreads and network policies name pods and ports that there are', options, (t) => {
  for (const folder of ['overlays/production', 'overlays/control-production']) {
    const objects = ofFolder(folder)
    const [deployment] = ofKind(objects, 'Deployment')
    const found = deployment === undefined ? undefined : podOf(deployment)
    const ports = (found?.containers ?? []).flatMap((one) =>
      listAt(one, 'ports').map((port) => at(port, 'containerPort')),
    )
    const [policy, ...more] = ofKind(objects, 'NetworkPolicy')
    t.same(more, [], folder)
    t.same(at(policy?.whole, 'spec', 'podSelector', 'matchLabels'), found?.labels, `${folder}: its pods`)
    const open = listAt(policy?.whole, 'spec', 'ingress').flatMap((rule) =>
      listAt(rule, 'ports').map((one) => at(one, 'port')),
    )
    t.same(new Set(open), new Set(ports), `${folder}: its ports, and no others`)
    t.same(listAt(policy?.whole, 'spec', 'policyTypes'), ['Ingress', 'Egress'], folder)
    for (const budget of ofKind(objects, 'PodDisruptionBudget'))
      t.same(at(budget.whole, 'spec', 'selector', 'matchLabels'), found?.labels, `${folder}: the budget's pods`)
    for (const spread of listAt(found?.pod, 'topologySpreadConstraints'))
      t.same(at(spread, 'labelSelector', 'matchLabels'), found?.labels, `${folder}: the spread's pods`)
  }
  t.equal(ofKind(ofFolder('overlays/production'), 'PodDisruptionBudget').length, 1)
  t.end()
})

await test(
  'the namespace for apps is restricted and fenced, and the fence closes where it cannot judge',
  options,
  (t) => {
    const [namespace] = ofKind(ofFolder('namespace'), 'Namespace')
    const labels = at(namespace?.whole, 'metadata', 'labels')
    t.match(labels, { 'pod-security.kubernetes.io/enforce': 'restricted', 'aether.dev/fence': 'enforce' })
    const [policy] = ofKind(ofFolder('fence'), 'ValidatingAdmissionPolicy')
    const [binding] = ofKind(ofFolder('fence'), 'ValidatingAdmissionPolicyBinding')
    t.equal(at(policy?.whole, 'spec', 'failurePolicy'), 'Fail')
    t.match(binding?.whole, {
      spec: {
        policyName: policy?.name,
        validationActions: ['Deny', 'Audit'],
        matchResources: { namespaceSelector: { matchLabels: { 'aether.dev/fence': 'enforce' } } },
      },
    })
    t.end()
  },
)
