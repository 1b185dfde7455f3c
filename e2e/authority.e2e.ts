// The annotation of the Deployment is the authority: what kubectl writes there moves the app, a pod that is born later never
// serves anything older, also where control is away at its birth, and what `kubectl rollout undo` writes is not fought.
import { setTimeout as sleep } from 'node:timers/promises'
import { annotations } from '@aether/contract/annotations'
import { hexOf } from '@aether/contract/digest'
import type { Test } from 'tap'
import { startControl } from './kit/control.ts'
import { answersOf, createHelloApp, type HelloApp } from './kit/hello-app.ts'
import { awaitLine, containerStatuses, listPods, logLines, nameOf, readyPods } from './kit/pods.ts'
import { packRelease, type Release } from './kit/releases.ts'
import { type Row, reportRows } from './kit/report.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import { until } from './kit/until.ts'

const awayMs = 8000

await runScenario('the annotation is the authority', async (t, scenario) => {
  const { folder, keys } = scenario
  const control = await startControl(scenario, { isDurable: true })
  t.teardown(control.close)
  const app = await createHelloApp(scenario, control)
  await app.edit('1.0.0')
  const first = await app.deploy(['--dev-hot', '--replicas', '1'])
  const [v2, v3] = [await packRelease(folder, '2.0.0', keys), await packRelease(folder, '3.0.0', keys)]
  for (const release of [v2, v3]) await app.upload(release)
  const [pod] = await readyPods(scenario, 1)
  if (pod === undefined) throw new Error('one pod was asked for')
  const rows: Row[] = []
  async function timed(what: string, work: () => Promise<unknown>) {
    const began = performance.now()
    await work()
    rows.push({ what, seconds: ((performance.now() - began) / 1000).toFixed(1) })
  }

  await timed('kubectl annotate deployment -> control says running', async () => {
    await annotate(scenario, v2.digest)
    await app.awaitView('running with v2', isRunning(v2))
  })
  t.same(await answersOf(scenario, [pod]), [v2.answer], 'kubectl annotate alone moves the app')
  t.equal((await readyPods(scenario, 1))[0]?.identity, pod.identity, 'in place')
  t.match(
    (await app.view()).events.findLast(({ action }) => action === 'rollout'),
    { actor: 'kubectl', from_digest: first.digest, to_digest: v2.digest },
    'it is recorded as a rollout by kubectl',
  )
  t.match(
    await annotationsOnDeployment(scenario),
    { [annotations.artifactUrl]: new RegExp(`/artifacts/${v2.digest}$`), [annotations.signature]: v2.signature },
    'control filled in URL and signature',
  )

  const before = await annotationsOfPods(scenario)
  await annotate(scenario, `sha256:${'0'.repeat(64)}`)
  const unknown = await app.awaitView('failed', ({ status }) => status === 'failed')
  t.match(unknown, { failure_reason: 'unknown_artifact', digest: v2.digest }, `${unknown.failure_message}`)
  t.same(await annotationsOfPods(scenario), before, 'an unknown digest reaches no pod')
  t.same(await answersOf(scenario, [pod]), [v2.answer], 'and moves nothing')
  await annotate(scenario, v2.digest)
  await app.awaitView('running again', isRunning(v2))

  await timed('kubectl scale 1 -> 2: both serve', async () => {
    const born = await scaleAndFollow(scenario, 2)
    await app.awaitView('two pods', (view) => isRunning(v2)(view) && view.replicas === 2)
    await neverServedAnother(t, scenario, born, v2)
  })

  await scale(scenario, 'aether-control', 0)
  await until('the end of control', async () => ((await controlPods(scenario)) === 0 ? true : undefined))
  await annotate(scenario, v3.digest)
  const born = await scaleAndFollow(scenario, 3)
  await sleep(awayMs)
  const waiting = (await listPods(scenario)).find((one) => nameOf(one) === born.name)
  const [init] = waiting?.status?.initContainerStatuses ?? []
  t.ok(init?.state?.running, `without control the new pod waits in init-fetch: ${JSON.stringify(init?.state)}`)
  t.same([...born.answers], [], 'and serves nothing')
  t.same(await answersOf(scenario, [pod]), [v2.answer], 'the pods before go on serving')
  await scale(scenario, 'aether-control', 1)
  await timed('control scaled 0 -> 1: new pod and old ones serve the new digest', async () => {
    await app.awaitView('running with v3', (view) => isRunning(v3)(view) && view.replicas === 3)
  })
  await neverServedAnother(t, scenario, born, v3)
  const all = await readyPods(scenario, 3)
  t.same(await answersOf(scenario, all), [v3.answer, v3.answer, v3.answer], 'all serve what was annotated meanwhile')
  t.ok(
    all.some(({ identity }) => identity === pod.identity),
    'the first pod is still the same',
  )

  await undoInPlace(t, scenario, app, v3)
  await undoOfNewPods(t, scenario, app, rows)
  reportRows(t, scenario, 'the annotation is the authority', rows)
})

/**
 * A deployment in place has one revision, until the spec of its pods changes. Then undo brings the spec of before, and the
 * digest that Kubernetes last copied to its ReplicaSet: that may be the newer one. Whichever it is, it holds.
 */
async function undoInPlace(t: Test, scenario: Scenario, app: HelloApp, now: Release): Promise<void> {
  const { cluster, namespace } = scenario
  const undo = ['rollout', 'undo', '-n', namespace, 'deployment/hello']
  const said = await cluster.tryKubectl(undo)
  t.match(said, /no rollout history/, 'in place there is nothing that kubectl could undo')
  t.match(await app.view(), { digest: now.digest, status: 'running' }, 'and nothing moves')

  await scale(scenario, 'hello', 1)
  const fourth = await app.edit('4.0.0')
  const { digest } = await app.deploy(['--dev-hot', '--env', 'GREETING=hello'])
  await cluster.kubectl(undo)
  await cluster.kubectl(['rollout', 'status', '-n', namespace, 'deployment/hello', '--timeout=55s'])
  const written = (await annotationsOnDeployment(scenario))[annotations.digest]
  t.comment(`undo of another env, in place: the digest is that ${written === digest ? 'of now' : 'of before'}`)
  t.ok(written === digest || written === now.digest, `the annotation says ${written}`)
  await app.awaitView('running with what the annotation says', (view) => isRunning({ digest: written ?? '' })(view))
  const answers = await answersOf(scenario, await readyPods(scenario, 1))
  t.same(answers, [written === digest ? fourth : now.answer], 'which the pod serves')
}

async function undoOfNewPods(t: Test, scenario: Scenario, app: HelloApp, rows: Row[]): Promise<void> {
  const { cluster, namespace } = scenario
  const fifth = await app.edit('5.0.0')
  const { digest } = await app.deploy([])
  await app.edit('6.0.0')
  const sixth = await app.deploy([])
  const began = performance.now()
  t.comment((await cluster.kubectl(['rollout', 'undo', '-n', namespace, 'deployment/hello'])).trim())
  await app.awaitView('running with v5', (view) => view.status === 'running' && view.digest === digest)
  rows.push({
    what: 'kubectl rollout undo -> new pods serve the digest before',
    seconds: ((performance.now() - began) / 1000).toFixed(1),
  })
  t.same(await answersOf(scenario, await readyPods(scenario, 1)), [fifth], 'the digest before serves again')
  t.match(
    (await app.view()).events.findLast(({ action }) => action === 'rollout'),
    { actor: 'kubectl', from_digest: sixth.digest, to_digest: digest },
    'recorded as a change by kubectl',
  )
  const generation = async () =>
    cluster.kubectl(['get', 'deployment', 'hello', '-n', namespace, '-o', 'jsonpath={.metadata.generation}'])
  const settled = await generation()
  await sleep(awayMs / 2)
  t.equal(await generation(), settled, 'and control does not fight it')
  t.match(await app.view(), { digest, status: 'running' })
}

function isRunning({ digest }: { readonly digest: string }) {
  return (view: { readonly status: string; readonly digest: string }) =>
    view.status === 'running' && view.digest === digest
}

async function annotate({ cluster, namespace }: Scenario, digest: string): Promise<void> {
  await cluster.kubectl([
    'annotate',
    'deployment',
    'hello',
    '-n',
    namespace,
    `${annotations.digest}=${digest}`,
    '--overwrite',
  ])
}

async function scale({ cluster, namespace }: Scenario, deployment: string, replicas: number): Promise<void> {
  await cluster.kubectl(['scale', `deployment/${deployment}`, '-n', namespace, `--replicas=${replicas}`])
}

interface Born {
  readonly name: string
  /** Every body of a 2xx answer so far. */
  readonly answers: ReadonlySet<string>
  /** Ends the asking, once the pod has answered. */
  end(): Promise<void>
}

/** Scales up by one, and asks the new pod from its first address on. */
async function scaleAndFollow(scenario: Scenario, replicas: number): Promise<Born> {
  const known = new Set((await listPods(scenario)).map(nameOf))
  await scale(scenario, 'hello', replicas)
  const pod = await until('the address of a new pod', async () => {
    const found = (await listPods(scenario)).find((one) => !known.has(nameOf(one)))
    return found?.status?.podIP === undefined ? undefined : found
  })
  const host = pod.status?.podIP ?? ''
  const answers = new Set<string>()
  let isOver = false
  const asking = (async () => {
    while (!isOver) {
      const { status, body } = await scenario.tools.ask({ host, port: 8080, path: '/' })
      if (status === 200) answers.add(body.trim())
      await sleep(20)
    }
  })()
  return {
    name: nameOf(pod),
    answers,
    async end() {
      await until(`an answer of ${nameOf(pod)}`, async () => (answers.size > 0 ? true : undefined))
      isOver = true
      await asking
    },
  }
}

async function neverServedAnother(t: Test, scenario: Scenario, born: Born, release: Release): Promise<void> {
  await born.end()
  t.same([...born.answers], [release.answer], `${born.name} never served anything but ${release.answer}`)
  const isActive = (line: string) => line.includes('is active')
  await awaitLine(scenario, born.name, 'init-fetch', 'is active', isActive)
  const lines = (await logLines(scenario, born.name, 'init-fetch')).filter(isActive)
  const isOnly = lines.length === 1 && lines[0]?.includes(hexOf(release.digest).slice(0, 12))
  t.ok(isOnly, `its init-fetch took this one alone: ${lines.join(' ').slice(0, 300)}`)
  const pod = (await listPods(scenario)).find((one) => nameOf(one) === born.name)
  t.equal(pod && containerStatuses(pod).reduce((sum, { restartCount }) => sum + restartCount, 0), 0, 'no restart')
}

async function annotationsOnDeployment({ cluster, namespace }: Scenario): Promise<Record<string, string>> {
  const found: Record<string, string> = JSON.parse(
    await cluster.kubectl(['get', 'deployment', 'hello', '-n', namespace, '-o', 'jsonpath={.metadata.annotations}']),
  )
  return found
}

async function annotationsOfPods(scenario: Scenario) {
  return (await listPods(scenario)).map(({ metadata }) => metadata?.annotations)
}

async function controlPods({ cluster, namespace }: Scenario): Promise<number> {
  return (await cluster.core.listNamespacedPod({ namespace, labelSelector: 'app=aether-control' })).items.length
}
