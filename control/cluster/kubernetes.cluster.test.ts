// The adapter against a real API server, with the rights of k8s/control/rbac and no others. The pods have no artifact to
// fetch: what they cannot do is what is looked at.
import { annotations } from '@aether/contract/annotations'
import { controlAudience } from '@aether/contract/control-api'
import { eventually } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import type { DeploymentSpec } from '../domain/model.ts'
import type { AppView, TargetAnnotations } from '../domain/ports.ts'
import { mergePatch } from './api-server.ts'
import { createAppWriter } from './app-writer.ts'
import { at, listAt, textAt } from './json-path.ts'
import { createKubernetesCluster } from './kubernetes.ts'
import type { PodOptions } from './pod-spec.ts'
import { createPodToken, createTestCluster, whyNoCluster } from './test-cluster.ts'

const skip = whyNoCluster() ?? false
const one: TargetAnnotations = {
  digest: `sha256:${'1'.repeat(64)}`,
  artifactUrl: 'http://127.0.0.1:9/one',
  signature: 'ab'.repeat(64),
  commit: 'abc123',
}
const two: TargetAnnotations = { ...one, digest: `sha256:${'2'.repeat(64)}`, signature: null, commit: null }

const pods: PodOptions = {
  agentImage: process.env.AETHER_AGENT_IMAGE ?? 'aether.local/aether-agent:dev',
  nodejsImage: process.env.AETHER_NODEJS_IMAGE ?? 'aether.local/aether-nodejs:dev',
  // No control, but something that refuses at once in every cluster: init-fetch then says why and ends.
  controlUrl: 'http://kubernetes.default.svc:443',
  fetchMode: 'watch',
  keysSecret: 'aether-keys',
  developmentEnvironments: new Set(['development']),
}

async function createWorld(t: Test) {
  const world = await createTestCluster(t)
  const warnings: string[] = []
  const cluster = createKubernetesCluster({
    kubeconfig: world.kubeconfig,
    namespace: world.namespace,
    pods,
    log: { warn: (fields, message) => warnings.push(`${message} ${JSON.stringify(fields)}`) },
  })
  const changes: string[] = []
  await cluster.start(({ app }) => changes.push(app))
  t.teardown(() => cluster.stop())
  const ref = { namespace: world.namespace, app: 'hello' }
  const spec: DeploymentSpec = {
    ...ref,
    environment: 'test',
    replicas: 1,
    devHot: true,
    port: 8080,
    readyPath: '/healthz',
    env: { GREETING: 'hello' },
  }
  return {
    ...world,
    cluster,
    changes,
    /** Old pods go at once: none of these ever gets ready, and by default they would stay for as long. */
    async recreate() {
      const strategy = { type: 'Recreate', rollingUpdate: null }
      const patch = JSON.stringify({ spec: { strategy } })
      await world.kubectl('patch', 'deployment', 'hello', '-n', world.namespace, '--type=merge', '-p', patch)
    },
    ref,
    spec,
    deployment: () =>
      world.api.send({ method: 'GET', path: `/apis/apps/v1/namespaces/${world.namespace}/deployments/hello` }),
    /** How many templates Kubernetes has made pods of, or is about to. */
    sets: async () =>
      listAt(
        await world.api.send({ method: 'GET', path: `/apis/apps/v1/namespaces/${world.namespace}/replicasets` }),
        'items',
      ).length,
    async seen(what: string, holds: (view: AppView) => boolean): Promise<AppView> {
      let found: AppView | undefined
      await eventually(what, () => {
        found = cluster.view(ref)
        return found !== undefined && holds(found)
      }).catch((error: unknown) => {
        throw new Error(`${String(error)}; the view: ${JSON.stringify(cluster.view(ref))} ${warnings.join('\n')}`)
      })
      if (found === undefined) throw new Error(what)
      return found
    },
  }
}

const templateOf = (deployment: unknown) => at(deployment, 'spec', 'template', 'metadata', 'annotations')

await test('an app in place is made with its target on itself, moved and taken away, by the rights of k8s/control', {
  skip,
}, async (t) => {
  const { cluster, ref, spec, seen, deployment, sets, changes, kubectl, namespace, ...world } = await createWorld(t)
  t.equal(cluster.fault(), null)
  await cluster.apply(spec, one)
  await world.recreate()
  const born = await seen('a pod', (view) => view.pods.length === 1)
  t.match(born, { target: one, templateTarget: { digest: null, artifactUrl: null }, replicas: 1, fault: null })
  t.same(templateOf(await deployment()), { [annotations.devHot]: 'true' })
  t.equal(await sets(), 1, 'one ReplicaSet was made')
  t.ok(changes.includes('hello'))

  t.comment('what another owner wrote stays, and an older first target is not written over a newer one')
  await kubectl(
    'annotate',
    'deployment',
    'hello',
    '-n',
    namespace,
    `${annotations.digest}=${two.digest}`,
    '--overwrite',
  )
  const pull = JSON.stringify({ imagePullSecrets: [{ name: 'registry' }] })
  await kubectl('patch', 'serviceaccount', 'hello', '-n', namespace, '--type=merge', '-p', pull)
  await cluster.apply({ ...spec, env: { GREETING: 'again' } }, one)
  await seen('the new digest', (view) => view.target.digest === two.digest && view.target.signature === one.signature)
  await cluster.setTarget(ref, two, true)
  await seen('the whole target', (view) => view.target.signature === null && view.target.commit === null)

  t.comment('the pod is annotated, and no other of its name')
  const rolled = await seen(
    'the pod of the newest template alone',
    (view) => view.isRolledOut && view.pods.length === 1,
  )
  const pod = rolled.pods[0]
  if (pod === undefined) throw new Error('there is no pod')
  await cluster.annotatePod(ref, pod.name, two)
  await seen('the target on the pod', (view) => view.pods[0]?.target.digest === two.digest)
  await cluster.annotatePod(ref, 'hello-gone', two)
  const earlier = { namespace, name: pod.name, uid: '00000000-0000-4000-8000-000000000000' }
  await createAppWriter(world.api, pods).annotatePod(earlier, one)
  const now = await world.api.send({ method: 'GET', path: `/api/v1/namespaces/${namespace}/pods/${pod.name}` })
  t.equal(textAt(now, 'metadata', 'annotations', annotations.digest), two.digest)
  t.strictSame(
    at(now, 'spec', 'imagePullSecrets'),
    [{ name: 'registry' }],
    "what the account's owner wrote there stays",
  )

  t.comment('a token of the pod is known by its uid and owner; of another audience or shape it is not')
  const token = await createPodToken({ ...world, namespace, kubectl }, { ...pod, account: 'hello' }, controlAudience)
  t.same(await cluster.identify(token), {
    kind: 'agent',
    app: 'hello',
    namespace,
    podUid: pod.uid,
    podName: pod.name,
  })
  const other = await createPodToken({ ...world, namespace, kubectl }, { ...pod, account: 'hello' }, 'another')
  t.equal(await cluster.identify(other), undefined)
  t.equal(await cluster.identify(`${token.slice(0, -4)}AAAA`), undefined, 'a signature that does not hold')
  t.equal(await cluster.identify('a-token-of-a-user'), undefined)
  const ofNoPod = await kubectl('create', 'token', 'hello', '-n', namespace, `--audience=${controlAudience}`)
  t.equal(await cluster.identify(ofNoPod.trim()), undefined)

  t.comment('gone is gone, twice')
  await cluster.remove(ref)
  await eventually('the end of the app', () => cluster.view(ref) === undefined)
  await cluster.remove(ref)
  await t.rejects(cluster.setTarget(ref, one, true), { code: 'cluster_refused', message: /not found/ })
  const left = await kubectl(
    'get',
    'service,rolebinding,serviceaccount',
    '-n',
    namespace,
    '-l',
    'aether.dev/app=hello',
    '-o',
    'name',
  )
  t.equal(left, '')
})

await test('an app of new pods has its target in the template from the first revision on', { skip }, async (t) => {
  const { cluster, ref, spec, seen, deployment, sets, recreate } = await createWorld(t)
  await cluster.apply({ ...spec, devHot: false }, one)
  await recreate()
  const target = { [annotations.digest]: one.digest, [annotations.artifactUrl]: one.artifactUrl }
  t.match(templateOf(await deployment()), { [annotations.devHot]: 'false', ...target })
  const born = await seen('a pod with the target', (view) => view.pods[0]?.target.digest === one.digest)
  t.equal(await sets(), 1, 'one ReplicaSet was made')

  t.comment('a new target makes a new pod; the reason that init-fetch left is the fault of the pod')
  await cluster.setTarget(ref, two, false)
  const moved = await seen(
    'the new pod alone',
    (view) => view.isRolledOut && view.pods[0]?.target.digest === two.digest,
  )
  t.not(moved.pods[0]?.uid, born.pods[0]?.uid)
  const failed = await seen('the fault of init-fetch', (view) => view.pods[0]?.fault != null)
  t.match(failed.pods[0]?.fault, { reason: 'control', message: /control answers 400/ })

  t.comment('to in place: one more revision, without a target')
  await cluster.apply(spec, one)
  t.same(templateOf(await deployment()), { [annotations.devHot]: 'true' })
  await seen('the third template', (view) => view.isRolledOut && view.templateTarget.digest === null)
  t.equal(await sets(), 3, 'three ReplicaSets were made')
  t.equal((await seen('the target', () => true)).target.digest, two.digest)
})

await test('an app whose making was cut off before its target makes no pod, and the next apply finishes it', {
  skip,
}, async (t) => {
  const { cluster, spec, seen, deployment, sets, api } = await createWorld(t)
  const cutOff = createAppWriter(
    {
      ...api,
      async send(request, signal) {
        if (request.contentType === mergePatch) throw new Error('cut off')
        return await api.send(request, signal)
      },
    },
    pods,
  )
  await t.rejects(cutOff.apply({ ...spec, devHot: false }, one), { message: 'cut off' })
  await seen('the Deployment without a target', (view) => view.target.digest === null)
  await eventually(
    'that the cluster has looked at it',
    async () => at(await deployment(), 'status', 'observedGeneration') === 1,
  )
  t.equal(await sets(), 0, 'no ReplicaSet was made')
  await cluster.apply({ ...spec, devHot: false }, one)
  const born = await seen('a pod', (view) => view.pods.length === 1)
  t.match(born, { target: one, templateTarget: one, pods: [{ target: one }] })
  t.equal(at(await deployment(), 'spec', 'paused'), undefined)
  t.equal(await sets(), 1, 'one ReplicaSet was made')
})

await test('what keeps an app from starting is told, and what others made is not touched', { skip }, async (t) => {
  const { cluster, ref, spec, seen, apply, kubectl, namespace, api } = await createWorld(t)
  await kubectl('create', 'service', 'clusterip', 'taken', '-n', namespace, '--tcp=80:80')
  await t.rejects(cluster.apply({ ...spec, app: 'taken' }, one), {
    code: 'cluster_refused',
    message: /taken that control did not make/,
  })
  await cluster.remove({ ...ref, app: 'taken' })
  t.match(await kubectl('get', 'service', 'taken', '-n', namespace), /taken/)
  await t.rejects(cluster.apply({ ...spec, env: { 'no name': 'x'.repeat(10), '': 'y' } }, one), {
    code: 'cluster_refused',
    message: /env/,
  })

  t.comment('the half that a refusal left is finished by the next apply')
  await cluster.apply({ ...spec, replicas: 2 }, one)
  await seen('two pods', (view) => view.pods.length === 2 && view.target.digest === one.digest)

  await kubectl('set', 'image', 'deployment/hello', '-n', namespace, 'init-fetch=aether.local/none-such:none')
  await seen('the fault of the image', (view) => view.pods.some((pod) => pod.fault?.reason === 'image_pull'))

  await apply({ apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'few' }, spec: { hard: { pods: '1' } } })
  await eventually('the quota in force', async () => {
    const quota = await api.send({ method: 'GET', path: `/api/v1/namespaces/${namespace}/resourcequotas/few` })
    return textAt(quota, 'status', 'hard', 'pods') === '1'
  })
  await cluster.apply({ ...spec, replicas: 4 }, one)
  const refused = await seen('the refusal of the quota', (view) => view.fault !== null)
  t.match(refused.fault, { reason: 'replica_failure', message: /quota/ })

  await kubectl('delete', 'quota', 'few', '-n', namespace)
  const big = { requests: { cpu: '4000' } }
  const container = { name: 'app', resources: big }
  const patch = JSON.stringify({ spec: { template: { spec: { containers: [container] } } } })
  await kubectl('patch', 'deployment', 'hello', '-n', namespace, '-p', patch)
  await seen('the word of the scheduler', (view) => view.pods.some((pod) => pod.fault?.reason === 'unschedulable'))
  const deployment = await api.send({ method: 'GET', path: `/apis/apps/v1/namespaces/${namespace}/deployments/hello` })
  t.equal(listAt(deployment, 'spec', 'template', 'spec', 'containers').length, 1)
})
