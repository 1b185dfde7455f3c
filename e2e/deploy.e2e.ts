// From a folder to serving pods by `aether deploy`: K1 runs, K2 is moved in place, K3 is an artifact that is gone; then new
// pods, the way back, and the end. The figures of K1 and K2 are a table.
import type { Test } from 'tap'
import { type Control, startControl } from './kit/control.ts'
import { answersOf, createHelloApp, type HelloApp } from './kit/hello-app.ts'
import { minRefreshIntervalMs } from './kit/measure-refresh.ts'
import { type Pod, readyPods } from './kit/pods.ts'
import { packRelease } from './kit/releases.ts'
import { median, type Row, reportRows } from './kit/report.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import { patienceMs, until } from './kit/until.ts'

const moves = 4

await runScenario('aether deploy', async (t, scenario) => {
  const { cluster, folder, keys, namespace } = scenario
  const control = await startControl(scenario)
  t.teardown(control.close)
  const app = await createHelloApp(scenario, control)
  const rows: Row[] = []
  async function deploy(what: string, version: string, args: readonly string[]) {
    const answer = await app.edit(version)
    const done = await app.deploy(args)
    const { pack, upload, deploy: asked, serving } = done.ms
    rows.push({ what, command_ms: done.wallMs, pack_ms: pack, upload_ms: upload, api_ms: asked, serving_ms: serving })
    return { ...done, answer }
  }

  const first = await deploy('K1: two new pods', '1.0.0', ['--dev-hot', '--replicas', '2'])
  const pods = await readyPods(scenario, 2)
  t.same(await answersOf(scenario, pods), [first.answer, first.answer], 'K1: both pods answer')
  t.match(await app.view(), { status: 'running', dev_hot: true, digest: first.digest })

  const second = await deploy('K2: the same two, in place', '2.0.0', ['--dev-hot'])
  t.same(await answersOf(scenario, pods), [second.answer, second.answer], 'K2: both pods answer the new version')
  const identities = pods.map(({ identity }) => identity)
  const identitiesNow = async () => (await readyPods(scenario, 2)).map(({ identity }) => identity)
  t.same(await identitiesNow(), identities, 'K2: the same pods, and no container was restarted')
  const rollout = { action: 'rollout', actor: 'e2e-admin', from_digest: first.digest, to_digest: second.digest }
  t.match(
    (await app.view()).events.findLast(({ action }) => action === 'rollout'),
    rollout,
    'K2: recorded',
  )
  await deploy('the same again: nothing to do', '2.0.0', ['--dev-hot'])

  await measureMoves(t, scenario, control, app, pods, [first, second])

  const gone = await packRelease(folder, '3.0.0', keys)
  await app.upload(gone)
  await removeBytes(scenario, gone.digest)
  const failed = await control.cli(['rollback', 'hello', '--to', gone.digest, '--output', 'json'])
  t.equal(failed.exitCode, 1, 'K3: the command fails')
  t.match(JSON.parse(failed.stdout), { error: { kind: 'failed', code: 'download' } }, failed.stderr)
  const view = await app.view()
  t.match(view, { status: 'failed', failure_reason: 'download' }, `K3: ${view.failure_message}`)
  t.same(await answersOf(scenario, pods), [second.answer, second.answer], 'K3: the release before goes on serving')
  await app.upload(gone)
  const mended = await control.cli(['rollback', 'hello', '--to', gone.digest])
  t.equal(mended.exitCode, 0, `K3 again, its bytes sent anew: ${mended.stdout}${mended.stderr}`)
  t.same(await answersOf(scenario, pods), [gone.answer, gone.answer], 'K3: mended')
  t.same(await identitiesNow(), identities, 'K3: the same pods')

  const third = await deploy('new pods', '4.0.0', [])
  const newPods = await readyPods(scenario, 2)
  t.same(await answersOf(scenario, newPods), [third.answer, third.answer], 'without --dev-hot: both answer')
  const names = new Set(pods.map(({ name }) => name))
  t.notOk(
    newPods.some(({ name }) => names.has(name)),
    'without --dev-hot: none of the pods before',
  )

  const back = await control.cli(['rollback', 'hello', '--to', second.digest])
  t.equal(back.exitCode, 0, `${back.stdout}${back.stderr}`)
  t.same(await answersOf(scenario, await readyPods(scenario, 2)), [second.answer, second.answer], 'rolled back')
  t.match(await app.view(), { status: 'running', desired_status: 'rollback', digest: second.digest })

  const logs = await control.cli(['logs', 'hello'])
  t.equal(logs.stdout.match(/hello 2\.0\.0 listens on/g)?.length, 2, 'logs: a line of each pod')
  const stopped = await control.cli(['stop', 'hello', '--yes'])
  t.equal(stopped.exitCode, 0, stopped.stderr)
  await until('the end of all that hello was made of', async () => {
    const kinds = 'deployment,replicaset,pod,service,serviceaccount,rolebinding'
    const left = await cluster.kubectl(['get', kinds, '-n', namespace, '-l', 'aether.dev/app=hello', '-o', 'name'])
    return left === '' ? true : undefined
  })
  t.match(await control.cli(['status', 'hello']), { exitCode: 1 }, 'nothing is deployed')
  reportRows(t, scenario, 'aether deploy of examples/hello', rows)
})

interface Moved {
  readonly deployment: string
  readonly digest: string
  readonly answer: string
}

/** PATCH of the API to the first new answer of a pod, from inside the cluster: one process sends and sees both. */
async function measureMoves(
  t: Test,
  scenario: Scenario,
  { tokens }: Control,
  app: HelloApp,
  pods: readonly Pod[],
  releases: readonly [Moved, Moved],
): Promise<void> {
  const { namespace, tools } = scenario
  const headers = { authorization: `Bearer ${tokens.deployer}`, 'content-type': 'application/json' }
  const firsts: number[] = []
  const lasts: number[] = []
  const patches: number[] = []
  let requests = 0
  let failed = 0
  for (const [move, to] of Array.from({ length: moves / 2 }, () => releases)
    .flat()
    .entries()) {
    const measured = await tools.measure({
      targets: pods.map(({ ip: host }) => ({ host, port: 8080, path: '/' })),
      expected: to.answer,
      change: {
        kind: 'request',
        method: 'PATCH',
        url: `http://aether-control.${namespace}/deployments/${to.deployment}`,
        headers,
        body: JSON.stringify({ digest: to.digest }),
      },
      everyMs: 10,
      quietMs: minRefreshIntervalMs,
      warmMs: 100,
      settleMs: 300,
      limitMs: patienceMs,
    })
    const arrived = measured.targets.flatMap(({ firstNewMs }) => firstNewMs ?? [])
    t.equal(arrived.length, pods.length, `move ${move + 1}: all pods answer ${to.answer}`)
    firsts.push(Math.min(...arrived))
    lasts.push(Math.max(...arrived))
    patches.push(measured.patchMs)
    for (const target of measured.targets) {
      requests += target.requests
      failed += Object.values(target.failed).reduce((sum, count) => sum + count, 0)
    }
    await app.awaitView(
      `running with ${to.answer}`,
      ({ status, digest }) => status === 'running' && digest === to.digest,
    )
  }
  reportRows(t, scenario, `PATCH of the API -> new answers of 2 pods, ${moves} moves`, [
    {
      patch_p50_ms: Math.round(median(patches)),
      first_pod_p50_ms: Math.round(median(firsts)),
      last_pod_p50_ms: Math.round(median(lasts)),
      last_pod_max_ms: Math.round(Math.max(...lasts)),
      requests,
      failed,
    },
  ])
}

/** What a disk may lose: the row stays. */
async function removeBytes({ cluster, namespace }: Scenario, digest: string): Promise<void> {
  const script = `
    const root = '/var/lib/aether-control/artifacts'
    const found = fs.readdirSync(root, { recursive: true }).filter((path) => path.endsWith('${digest.slice(-64)}'))
    for (const path of found) fs.rmSync(root + '/' + path)
    if (found.length !== 1) throw new Error('found ' + found.length)`
  const command = ['/usr/local/bin/node', '-e', script]
  await cluster.kubectl(['exec', '-n', namespace, 'deployment/aether-control', '--', ...command])
}
