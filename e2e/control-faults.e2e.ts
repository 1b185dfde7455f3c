// What control promises when something is taken from under it: what was acknowledged is kept and carried out, whether the
// database, control itself or the API server went away in the middle. The times are a table.
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import type { Test } from 'tap'
import { type Control, startControl } from './kit/control.ts'
import { answersOf, createHelloApp, type Deployed, type DeploymentView, type HelloApp } from './kit/hello-app.ts'
import { listPods, type Pod, readyPods } from './kit/pods.ts'
import { packRelease, type Release } from './kit/releases.ts'
import { type Row, reportRows } from './kit/report.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import { ask } from './kit/tools/ask.ts'
import { until } from './kit/until.ts'

const controlPort = 8480
const everyMs = 50
const awayMs = 10_000

await runScenario('faults under control', async (t, scenario) => {
  const { folder, keys } = scenario
  const control = await startControl(scenario, { isDurable: true })
  t.teardown(control.close)
  const app = await createHelloApp(scenario, control)
  const releases: Release[] = []
  for (const version of ['1.0.0', '2.0.0', '3.0.0', '4.0.0']) {
    const release = await packRelease(folder, version, keys)
    await app.upload(release)
    releases.push(release)
  }
  const [v1, v2, v3, v4] = releases
  if (v1 === undefined || v2 === undefined || v3 === undefined || v4 === undefined)
    throw new Error('four releases were packed')
  await app.edit('1.0.0')
  const { deployment: id } = await app.deploy(['--dev-hot', '--replicas', '1'])
  const [pod] = await readyPods(scenario, 1)
  if (pod === undefined) throw new Error('one pod was asked for')
  const given: Given = { scenario, control, app, pod, id }
  const rows: Row[] = []

  rows.push(await loseDatabase(t, given, v2))
  rows.push(await loseControl(t, given, v3))
  if (scenario.config.apiServer === undefined)
    await t.test('the API server', { skip: 'AETHER_E2E_APISERVER_STOP and _START are not both set' }, async () => {})
  else rows.push(await loseApiServer(t, given, v4, scenario.config.apiServer))

  t.equal((await readyPods(scenario, 1))[0]?.identity, pod.identity, 'the same pod, and no container was restarted')
  reportRows(t, scenario, 'what went away, and how long until the acknowledged digest served', rows)
})

interface Given {
  readonly scenario: Scenario
  readonly control: Control
  readonly app: HelloApp
  readonly pod: Pod
  /** Of the deployment. */
  readonly id: string
}

/** PostgreSQL is restarted in the middle of changes that are sent one after the other, and of a deploy. */
async function loseDatabase(t: Test, { scenario, control, app, pod }: Given, release: Release): Promise<Row> {
  const { cluster, namespace } = scenario
  const acknowledged: string[] = []
  const refused: Response[] = []
  let isOver = false
  const changing = (async () => {
    for (let at = 0; !isOver; at++) {
      const name = `app-${at}`
      const response = await control.ask('/apps', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name }),
      })
      await response.arrayBuffer()
      if (response.ok) acknowledged.push(name)
      else refused.push(response)
      await sleep(everyMs)
    }
  })()
  await sleep(10 * everyMs)
  await app.edit('2.0.0')
  const began = performance.now()
  await cluster.kubectl(['exec', '-n', namespace, 'deployment/aether-postgres', '--', 'sh', '-c', 'kill -INT 1'])
  const deploying = app.tryDeploy(['--dev-hot'])
  await until('a request that is refused', async () => (refused.length > 0 ? true : undefined))
  const before = acknowledged.length
  await until('one that is not, after it', async () => (acknowledged.length > before ? true : undefined))
  const awayFor = performance.now() - began
  const deployed = await deploying
  isOver = true
  await changing

  const kinds = new Set(refused.map(({ status, headers }) => `${status}, Retry-After ${headers.get('retry-after')}`))
  t.same([...kinds], ['503, Retry-After 5'], `meanwhile ${refused.length} requests are told to come again`)
  t.comment(`aether deploy in the middle of it: ${deployed.exitCode} ${deployed.stdout}${deployed.stderr}`)
  t.equal(deployed.exitCode, 0, 'aether deploy comes through')
  const { digest }: Deployed = JSON.parse(deployed.stdout)
  t.equal((await app.view()).digest, digest, 'and what it deployed is there')
  t.same(await answersOf(scenario, [pod]), [release.answer], 'and serves')
  const lost: string[] = []
  for (const name of acknowledged) if (!(await control.ask(`/apps/${name}`)).ok) lost.push(name)
  t.same(lost, [], `each of ${acknowledged.length} acknowledged apps is there`)
  return {
    what: 'PostgreSQL restarted',
    away_s: (awayFor / 1000).toFixed(1),
    refused: refused.length,
    serves_s: ((performance.now() - began) / 1000).toFixed(1),
  }
}

/** Control is killed as soon as it has acknowledged a rollout. */
async function loseControl(t: Test, { scenario, control, app, pod, id }: Given, release: Release): Promise<Row> {
  const { cluster, namespace } = scenario
  const own = ['-n', namespace, '-l', 'app=aether-control']
  const response = await change(control.origin, control, id, release)
  t.equal(response.status, 200, 'a rollout is acknowledged')
  const began = performance.now()
  await cluster.kubectl(['delete', 'pod', ...own, '--grace-period=0', '--force', '--wait=false'])
  await servesAt(scenario, pod, release)
  const servesAfter = performance.now() - began
  await until('control again', async () => ((await control.ask('/readyz')).ok ? true : undefined))
  const awayFor = performance.now() - began
  const view = await app.awaitView('running', ({ status, digest }) => status === 'running' && digest === release.digest)
  const recorded = view.events.filter(({ action, to_digest: to }) => action === 'rollout' && to === release.digest)
  t.match(recorded, [{ actor: 'e2e-admin' }], 'it is carried out, and recorded once')
  const faults = faultsSince(view)
  t.same(faults, [], `failures shown on the way: ${faults.join('; ') || 'none'}`)
  return {
    what: 'control killed after a rollout',
    away_s: (awayFor / 1000).toFixed(1),
    refused: 0,
    serves_s: (servesAfter / 1000).toFixed(1),
  }
}

/** Pods and control are asked by their addresses, because the way through the API server is cut. */
async function loseApiServer(
  t: Test,
  { scenario, control, app, pod, id }: Given,
  release: Release,
  { stop, start }: { readonly stop: string; readonly start: string },
): Promise<Row> {
  const { cluster, namespace } = scenario
  const controlPods = async () =>
    (await cluster.core.listNamespacedPod({ namespace, labelSelector: 'app=aether-control' })).items
  const [before] = await controlPods()
  const origin = `http://${before?.status?.podIP}:${controlPort}`
  const [old] = await answersOf(scenario, [pod])
  await shell(stop)
  const goneAt = performance.now()
  t.equal((await cluster.tryKubectl(['get', '--raw', '/readyz'])).includes('ok'), false, 'the API server is away')
  const response = await change(origin, control, id, release)
  t.equal(response.status, 200, 'control acknowledges a rollout all the same')
  await sleep(awayMs)
  t.equal((await ask({ host: pod.ip, port: 8080, path: '/' })).body.trim(), old, 'the pod serves what it served')
  const ready = await fetch(`${origin}/readyz`)
  t.match(await ready.json(), { status: 'not ready' }, 'control says that it cannot rely on the cluster')
  const awayFor = performance.now() - goneAt
  const startedAt = performance.now()
  await shell(start)
  await until(`${release.answer} by its address`, async () =>
    (await ask({ host: pod.ip, port: 8080, path: '/' })).body.trim() === release.answer ? true : undefined,
  )
  const servesAfter = performance.now() - startedAt
  await until('control is ready', async () => ((await fetch(`${origin}/readyz`)).ok ? true : undefined))
  await app.edit('5.0.0')
  const next = await control.cli(['deploy', `${scenario.folder}/app-hello`, '--app', 'hello', '--dev-hot'], {
    AETHER_URL: origin,
  })
  t.equal(next.exitCode, 0, `a deploy right after: ${next.stdout}${next.stderr}`)
  const [after] = await controlPods()
  const restarts = (one: typeof after) => [one?.metadata?.uid, one?.status?.containerStatuses?.[0]?.restartCount]
  t.same(restarts(after), restarts(before), 'control is the same process')
  t.equal((await listPods(scenario)).length, 1)
  return {
    what: 'API server killed, rollout meanwhile',
    away_s: (awayFor / 1000).toFixed(1),
    refused: 0,
    serves_s: (servesAfter / 1000).toFixed(1),
  }
}

function change(origin: string, { tokens }: Control, id: string, { digest }: Release): Promise<Response> {
  const headers = { authorization: `Bearer ${tokens.admin}`, 'content-type': 'application/json' }
  return fetch(`${origin}/deployments/${id}`, { method: 'PATCH', headers, body: JSON.stringify({ digest }) })
}

async function servesAt(scenario: Scenario, pod: Pod, { answer }: Release): Promise<void> {
  await until(`${answer} from ${pod.name}`, async () =>
    (await answersOf(scenario, [pod]))[0] === answer ? true : undefined,
  )
}

/** Failures since the last rollout. */
function faultsSince(view: DeploymentView): readonly string[] {
  const { events } = view
  const from = events.findLastIndex(({ action }) => action === 'rollout')
  return events
    .slice(from)
    .flatMap(({ status, reason, message }) => (status === 'failed' ? [`${reason}: ${message}`] : []))
}

/** Its output is not waited for: what it starts may keep the pipe. */
async function shell(command: string): Promise<void> {
  await execa('sh', ['-c', command], { stdio: 'ignore' })
}
