// What must be refused is tried with the pod's own token: first with the rights that it has, then with far too many, when
// the fence alone is in the way. Control works inside the fence.
import type { Test } from 'tap'
import { startControl } from './kit/control.ts'
import { raiseFence } from './kit/fence.ts'
import { answersOf, createHelloApp } from './kit/hello-app.ts'
import { askWithToken, readClaims, type TokenRequest } from './kit/own-token.ts'
import { type Pod, readyPods } from './kit/pods.ts'
import { restrictedContainer, restrictedPod } from './kit/restricted.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import { until } from './kit/until.ts'

interface Attempt {
  readonly what: string
  readonly request: TokenRequest
}

await runScenario('the fence around tokens', async (t, scenario) => {
  const { namespace } = scenario
  await raiseFence(scenario)
  const control = await startControl(scenario)
  t.teardown(control.close)
  const hello = await createHelloApp(scenario, control)
  await hello.edit('1.0.0')
  await hello.deploy(['--dev-hot', '--replicas', '2'])
  const [own, other] = await readyPods(scenario, 2)
  if (own === undefined || other === undefined) throw new Error('two pods were asked for')

  const claims = await readClaims(scenario, own.name)
  t.same(claims.aud, ['https://kubernetes.default.svc'], "the API server's audience, and no other")
  t.match(claims['kubernetes.io'], { namespace, pod: { name: own.name }, serviceaccount: { name: 'hello' } })

  const uid = await uidOf(scenario, own)
  const forbidden = attempts(namespace, own, other)
  const status = patchOf(namespace, own, { metadata: { annotations: { 'aether.dev/status-outcome': 'ok' } } })
  const event = eventAbout(namespace, own, uid)
  const byRights = await askWithToken(scenario, own.name, [...forbidden.map(({ request }) => request), status, event])
  for (const [at, { what }] of [...forbidden, { what: 'its own status' }, { what: 'an Event' }].entries())
    t.match(byRights[at], { status: 403, message: /cannot/ }, `by its rights: not ${what}`)
  const reads = await askWithToken(scenario, own.name, [get(`/api/v1/namespaces/${namespace}/pods`)])
  t.match(reads, [{ status: 200 }], 'it reads the pods of its namespace')

  await bindTooMuch(scenario)
  const takeover = patchOf(namespace, own, { metadata: { annotations: { 'aether.dev/digest': 'sha256:taken-over' } } })
  const isFenced = await until('an answer of the fence', async () => {
    const [answer] = await askWithToken(scenario, own.name, [takeover])
    return answer?.message.includes('-fence') ? answer : undefined
  })
  t.match(isFenced, { status: 403, message: /a token of a pod may change the status annotations of its own pod/ })
  const inside = forbidden.filter(({ request: { method, path } }) => method !== 'GET' || path.includes('/exec'))
  const fenced = await askWithToken(
    scenario,
    own.name,
    inside.map(({ request }) => request),
  )
  for (const [at, { what }] of inside.entries())
    t.match(fenced[at], { status: 403, message: /-fence' denied/ }, `with every right of the namespace: not ${what}`)
  const elsewhere = await askWithToken(scenario, own.name, [
    get('/api/v1/namespaces/default/pods'),
    patchOf(namespace, other, { metadata: { annotations: { 'aether.dev/status-outcome': 'ok' } } }),
    eventAbout(namespace, other, await uidOf(scenario, other)),
  ])
  for (const answer of elsewhere)
    t.match(answer, { status: 403 }, 'nothing of another namespace, nothing about another pod')
  t.match(
    await askWithToken(scenario, own.name, [status, event]),
    [{ status: 200 }, { status: 201 }],
    'of itself it may tell',
  )

  const answer = await hello.edit('2.0.0')
  await hello.deploy(['--dev-hot'])
  t.same(await answersOf(scenario, [own, other]), [answer, answer], 'control deploys in place, inside the fence')
  await verdicts(t, scenario, own)
})

/** What a pod that was taken over would want. */
function attempts(namespace: string, own: Pod, other: Pod): readonly Attempt[] {
  const here = `/api/v1/namespaces/${namespace}`
  const container = { name: 'app', image: 'evil.example/x' }
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'made-by-a-pod' },
    spec: {
      securityContext: restrictedPod,
      containers: [{ ...container, securityContext: restrictedContainer }],
    },
  }
  const token = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'made-by-a-pod' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'aether-dev-hot' },
    subjects: [{ kind: 'ServiceAccount', name: 'default' }],
  }
  const post = (path: string, body: object): TokenRequest => ({ method: 'POST', path, body })
  const annotate = (name: string, value: string) => ({ metadata: { annotations: { [name]: value } } })
  return [
    { what: "another pod's annotation", request: patchOf(namespace, other, annotate('aether.dev/digest', 'sha256:x')) },
    { what: 'its own digest', request: patchOf(namespace, own, annotate('aether.dev/digest', 'sha256:x')) },
    { what: 'its own URL', request: patchOf(namespace, own, annotate('aether.dev/artifact-url', 'http://evil')) },
    { what: 'its own image', request: patchOf(namespace, own, { spec: { containers: [container] } }) },
    {
      what: 'its own labels',
      request: patchOf(namespace, own, { metadata: { labels: { 'aether.dev/app': 'other' } } }),
    },
    {
      what: 'its own image beside its status',
      request: patchOf(namespace, own, {
        ...annotate('aether.dev/status-outcome', 'ok'),
        spec: { containers: [container] },
      }),
    },
    { what: 'a new pod', request: post(`${here}/pods`, pod) },
    { what: 'the end of a pod', request: { method: 'DELETE', path: `${here}/pods/${other.name}` } },
    {
      what: 'a program in a pod',
      request: { method: 'GET', path: `${here}/pods/${other.name}/exec?command=x&container=app` },
    },
    { what: 'another token', request: post(`${here}/serviceaccounts/hello/token`, token) },
    {
      what: 'a right',
      request: post(`/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`, binding),
    },
    { what: 'the keys', request: { method: 'GET', path: `${here}/secrets/aether-keys` } },
    {
      what: 'other keys',
      request: { method: 'PATCH', path: `${here}/secrets/aether-keys`, body: { stringData: { 'evil.hex': '00' } } },
    },
    { what: 'the pods of another namespace', request: get('/api/v1/namespaces/default/pods') },
    { what: 'the pods of all', request: get('/api/v1/pods') },
  ]
}

function get(path: string): TokenRequest {
  return { method: 'GET', path }
}

function patchOf(namespace: string, { name }: Pod, body: object): TokenRequest {
  return { method: 'PATCH', path: `/api/v1/namespaces/${namespace}/pods/${name}`, body }
}

function eventAbout(namespace: string, { name }: Pod, uid: string): TokenRequest {
  const body = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { generateName: `${name}.` },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', name, namespace, uid },
    reason: 'Test',
    message: 'x',
    type: 'Normal',
  }
  return { method: 'POST', path: `/api/v1/namespaces/${namespace}/events`, body }
}

async function uidOf({ cluster, namespace }: Scenario, { name }: Pod): Promise<string> {
  return (await cluster.core.readNamespacedPod({ name, namespace })).metadata?.uid ?? ''
}

/** Every right in the namespace, as somebody in a hurry gives it. */
async function bindTooMuch({ cluster, namespace }: Scenario): Promise<void> {
  const own = ['-n', namespace]
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'too-much' },
    rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
  }
  await cluster.kubectl(['apply', ...own, '-f', '-'], JSON.stringify(role))
  const account = `--serviceaccount=${namespace}:hello`
  await cluster.kubectl(['create', 'rolebinding', 'too-much', ...own, '--role=too-much', account])
}

/** Nothing of it came through. */
async function verdicts(t: Test, { cluster, namespace }: Scenario, { name }: Pod): Promise<void> {
  const { metadata, spec } = await cluster.core.readNamespacedPod({ name, namespace })
  t.equal(metadata?.annotations?.['aether.dev/status-outcome'], 'ok')
  t.notMatch(metadata?.annotations?.['aether.dev/digest'], 'taken-over')
  t.notMatch(JSON.stringify(spec), 'evil.example')
}
