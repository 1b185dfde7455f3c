// Every overlay and both charts in a namespace under `restricted`: what the API server takes of them, and those that no
// other scenario deploys as running pods. And, without control, new pods start with what was annotated last.
import { globSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hexOf } from '@aether/contract/digest'
import { execa } from 'execa'
import type { Test } from 'tap'
import { applyPatched, deployHello } from './kit/deploy.ts'
import { answersOf } from './kit/hello-app.ts'
import { isHelmThere, renderChart } from './kit/helm.ts'
import { giveOperatorKinds } from './kit/operator-kinds.ts'
import { openDisk } from './kit/own-disk.ts'
import { readClaims } from './kit/own-token.ts'
import { listPods, type Pod, readMarkers, readyPods } from './kit/pods.ts'
import { postgresName, postgresObjects } from './kit/postgres-manifest.ts'
import { annotationsOf, packRelease, type Release } from './kit/releases.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import { until } from './kit/until.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const manifests = join(root, 'k8s')

await runScenario('manifests', async (t, scenario) => {
  const { folder, keys, tools } = scenario
  await giveOperatorKinds(t, scenario.cluster)
  await taken(t, scenario)
  const packed = await Promise.all(['1.0.0', '2.0.0', '3.0.0'].map((version) => packRelease(folder, version, keys)))
  const [v1, v2, v3] = packed
  if (v1 === undefined || v2 === undefined || v3 === undefined) throw new Error('three releases were packed')
  for (const release of packed) await tools.put(release.name, release.file)

  await dev(t, scenario, v1)
  await inPlaceWithoutControl(t, scenario, [v1, v2, v3])
  await production(t, scenario, v1)
  if (!isHelmThere()) return t.comment('not run: the charts, because helm is not on PATH')
  await chartOfAnApp(t, scenario, v1)
  await chartOfControl(t, scenario)
})

/** By the API server's own validation and admission, without being made. */
async function taken(t: Test, scenario: Scenario): Promise<void> {
  const { cluster, namespace } = scenario
  // Pods are refused; the warning is what a Deployment gets for its pods.
  await cluster.kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/warn=restricted'])
  const folders = globSync('**/kustomization.yaml', { cwd: manifests }).map((path) => dirname(path))
  for (const name of folders.toSorted()) {
    const said = await dryRun(scenario, name)
    t.match(said, /(created|configured|unchanged) \(server dry run\)/, `${name}: taken`)
    t.notMatch(said, /error|invalid|forbidden|would violate|deprecated/i, `${name}: nothing against it`)
  }
  const patch = '[{"op":"add","path":"/spec/template/spec/hostNetwork","value":true}]'
  const said = await dryRun(scenario, 'base', [{ target: { kind: 'Deployment' }, patch }])
  t.match(said, /would violate PodSecurity "restricted/, 'and of a pod that asks for more it says so')
  const wrong = '[{"op":"add","path":"/spec/podMetricsEndpoints/0/interval","value":"soon"}]'
  const monitor = await dryRun(scenario, 'monitoring', [{ target: { kind: 'PodMonitor' }, patch: wrong }])
  t.match(monitor, /PodMonitor "aether-agents" is invalid: spec.podMetricsEndpoints\[0\].interval/, 'of a monitor too')
}

async function dryRun({ cluster, folder, namespace }: Scenario, name: string, patches: readonly object[] = []) {
  const own = await mkdtemp(join(folder, 'kustomize-'))
  const kustomization = { namespace, resources: [relative(own, join(manifests, name))], patches }
  await writeFile(join(own, 'kustomization.yaml'), JSON.stringify(kustomization))
  return cluster.tryKubectl(['apply', '--dry-run=server', '-k', own])
}

/** Unsigned, in a namespace whose Secret of keys the pods do not need. */
async function dev(t: Test, scenario: Scenario, release: Release): Promise<void> {
  const { 'aether.dev/signature': _, ...unsigned } = annotationsOf(release, scenario.tools.url(release.name))
  await applyPatched(scenario, join(manifests, 'overlays/dev'), spec(scenario, unsigned, {}))
  const pods = await readyPods(scenario, 1)
  t.same(await answersOf(scenario, pods), [release.answer], 'dev: an unsigned release serves')
  const said = await scenario.cluster.kubectl([
    'logs',
    '-n',
    scenario.namespace,
    pods[0]?.name ?? '',
    '-c',
    'init-fetch',
  ])
  t.match(said, /without a verified signature/, 'dev: with a warning')
  await takeAway(scenario)
}

async function inPlaceWithoutControl(t: Test, scenario: Scenario, releases: readonly Release[]): Promise<void> {
  const { cluster, namespace, tools } = scenario
  const [first, ...next] = releases
  if (first === undefined) throw new Error('a first release was asked for')
  await deployHello(scenario, { mode: 'watch', replicas: 2, annotations: annotationsOf(first, tools.url(first.name)) })
  const pods = await readyPods(scenario, 2)
  const claims = await readClaims(scenario, pods[0]?.name ?? '')
  t.ok(Number(claims.exp) - Number(claims.iat) <= 600, "the fetcher's token lives ten minutes")
  for (const release of next) {
    const args = ['hello', release.digest, tools.url(release.name), release.signature, namespace]
    const { exitCode, all } = await execa(join(root, 'scripts/annotate-in-place.sh'), args, {
      reject: false,
      all: true,
    })
    t.equal(exitCode, 0, all)
    for (const pod of pods)
      await until(`REFRESH_OK of ${pod.name}`, async () => lastOk(await readMarkers(scenario, pod.name), release))
  }
  const last = next.at(-1)?.answer
  t.same(await answersOf(scenario, pods), [last, last], 'in place')
  await cluster.kubectl(['scale', '-n', namespace, 'deployment/hello', '--replicas=3'])
  const more = await readyPods(scenario, 3)
  t.same(await answersOf(scenario, more), [last, last, last], 'a pod that is born later starts with the same release')
  const known = (pod: Pod) => pods.some(({ identity }) => identity === pod.identity)
  t.equal(more.filter(known).length, 2, 'and the first two are the ones that they were')
  const sets = await cluster.kubectl(['get', 'replicasets', '-n', namespace, '-l', 'app=hello', '-o', 'name'])
  t.equal(sets.split('\n').length, 1, 'the Deployment made no other ReplicaSet')
  await takeAway(scenario)
}

function lastOk(markers: Awaited<ReturnType<typeof readMarkers>>, { digest }: Release): true | undefined {
  return markers.some((marker) => marker.kind === 'ok' && marker.digest === hexOf(digest)) ? true : undefined
}

async function production(t: Test, scenario: Scenario, release: Release): Promise<void> {
  const { cluster, namespace, tools } = scenario
  const origins = { AETHER_ARTIFACT_ORIGINS: new URL(tools.url('x')).origin }
  const annotations = annotationsOf(release, tools.url(release.name))
  await applyPatched(scenario, join(manifests, 'overlays/production'), spec(scenario, annotations, origins))
  const pods = await readyPods(scenario, 3)
  t.same(await answersOf(scenario, pods), Array(3).fill(release.answer), 'production: three pods serve')
  const allowed = await until('a disruption that the budget allows', async () => {
    const path = 'jsonpath={.status.currentHealthy} {.status.disruptionsAllowed}'
    const said = await cluster.kubectl(['get', 'pdb', 'hello', '-n', namespace, '-o', path])
    return said === '3 1' ? said : undefined
  })
  t.equal(allowed, '3 1', 'its budget counts them, and lets one go')
  await takeAway(scenario)
}

async function chartOfAnApp(t: Test, scenario: Scenario, release: Release): Promise<void> {
  const { cluster, config, namespace, tools } = scenario
  const set = {
    'aether-app.release.digest': release.digest,
    'aether-app.release.url': tools.url(release.name),
    'aether-app.release.signature': release.signature,
    'aether-app.images.agent': config.agentImage,
    'aether-app.images.nodejs': config.nodejsImage,
    'aether-app.images.fetch': config.fetchImage,
  }
  const flags = ['spread', 'disruptionBudget', 'networkPolicy.enabled'].flatMap((name) => [
    '--set',
    `aether-app.${name}=true`,
  ])
  const objects = await renderChart(scenario, 'hello', set, [...flags, '--set', 'aether-app.replicas=1'])
  const said = await cluster.kubectl(['apply', '-n', namespace, '-f', '-'], objects)
  t.match(said, /deployment\.apps\/hello created/, 'the chart of an app')
  t.same(await answersOf(scenario, await readyPods(scenario, 1)), [release.answer], 'its pod serves')
  await cluster.kubectl(['delete', '-n', namespace, '-f', '-'], objects)
  await gone(scenario)
}

/** The rights over the cluster that it makes bear this namespace's name. */
async function chartOfControl(t: Test, scenario: Scenario): Promise<void> {
  const { cluster, config, namespace } = scenario
  const own = ['-n', namespace]
  const items = [
    ...postgresObjects(config.postgresImage, 'of-the-test'),
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'aether-control-env' },
      stringData: {
        DATABASE_URL: `postgres://aether:of-the-test@${postgresName}:5432/aether`,
        AETHER_API_TOKENS: `${'0123456789abcdef'.repeat(3)}:admin:e2e`,
      },
    },
  ]
  await cluster.kubectl(['apply', ...own, '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  await openDisk(scenario)
  const monitored = ['rules', 'dashboard', 'podMonitor', 'serviceMonitor'].map((name) => `monitoring.${name}=true`)
  const watched = await renderChart(scenario, 'control', {}, ['--set', monitored.join()])
  const said = await cluster.kubectl(['apply', ...own, '--dry-run=server', '-f', '-'], watched)
  for (const kind of ['podmonitor', 'servicemonitor', 'prometheusrule'])
    t.match(
      said,
      new RegExp(`^${kind}\\.monitoring\\.coreos\\.com/.* created`, 'm'),
      `the chart of control: its ${kind}`,
    )
  const set = { image: config.controlImage, 'data.claim': 'aether-control-data' }
  const objects = await renderChart(scenario, 'control', set, ['--set', 'networkPolicy.enabled=true'])
  try {
    await cluster.kubectl(['apply', ...own, '-f', '-'], objects)
    for (const name of [postgresName, 'aether-control'])
      await cluster.kubectl(['rollout', 'status', ...own, `deployment/${name}`, '--timeout=55s'])
    const ready = await cluster.kubectl([
      'get',
      ...own,
      'deployment/aether-control',
      '-o',
      'jsonpath={.status.readyReplicas}',
    ])
    t.equal(ready, '1', 'the chart of control: control is ready')
  } finally {
    await cluster.kubectl(['delete', ...own, '--wait=false', '-f', '-'], objects)
  }
}

function spec(
  { config }: Scenario,
  annotations: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
) {
  const variables = Object.entries(env).map(([name, value]) => ({ name, value }))
  const agent = (name: string, image: string) => ({ name, image, env: variables })
  return {
    template: {
      metadata: { annotations },
      spec: {
        initContainers: [agent('init-fetch', config.agentImage), agent('fetcher', config.fetchImage)],
        containers: [{ name: 'app', image: config.nodejsImage }],
      },
    },
  }
}

async function takeAway(scenario: Scenario): Promise<void> {
  await scenario.cluster.kubectl(['delete', '-n', scenario.namespace, 'deployment/hello'])
  await gone(scenario)
}

async function gone(scenario: Scenario): Promise<void> {
  await until('the end of the pods', async () => ((await listPods(scenario)).length === 0 ? true : undefined))
}
