// `aether dev` by a control, by a developer whose token may deploy: each save comes as a delta of a tree, signed by the key of their
// machine, which counts in the environment `development` and nowhere else. What goes wrong meanwhile is said, and goes on by itself.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hexOf } from '@aether/contract/digest'
import { startControl } from './kit/control.ts'
import { createDeveloper, measureSaves, nextServing, startDev } from './kit/developer.ts'
import { answersOf, createHelloApp } from './kit/hello-app.ts'
import { readMarkers, readyPods } from './kit/pods.ts'
import { runScenario } from './kit/run-scenario.ts'
import { until } from './kit/until.ts'

const hello = fileURLToPath(new URL('../examples/hello', import.meta.url))

await runScenario('dev by control', async (t, scenario) => {
  const { cluster, namespace } = scenario
  const control = await startControl(scenario, {
    env: { AETHER_DEVELOPMENT_ENVIRONMENTS: 'development' },
    isDurable: true,
  })
  t.teardown(control.close)
  const app = await createHelloApp(scenario, control)
  // As by an ingress: a forward through the API server would cost as much again as what it leads to.
  const { spec } = await cluster.core.readNamespacedService({ namespace, name: 'aether-control' })
  const developer = await createDeveloper(scenario, hello, {
    env: { AETHER_URL: `http://${spec?.clusterIP ?? ''}`, AETHER_TOKEN: control.tokens.deployer },
    args: ['--environment', 'development', '--ready-path', '/healthz', '--no-logs'],
  })
  const server = join(developer.app, 'server.js')
  const source = await readFile(server, 'utf8')
  const save = (answer: string) => writeFile(server, source.replace('hello from ${version}', answer))

  await save('one')
  const stranger = startDev(developer, [])
  t.equal(await stranger.ended, 1, 'a key that control does not know')
  t.match(stranger.output(), /hello does not know the development key of this machine: the releases are not signed/)
  t.match(stranger.output(), /"code":"signature_required"/)
  const added = await control.cli(['keys', 'add', 'hello', developer.publicKey, '--development'])
  t.match(added, { exitCode: 0, stdout: /hello trusts development key/ })

  const dev = startDev(developer, [])
  const first = await dev.next()
  t.match(first, { outcome: 'serving', error: null })
  const pods = await readyPods(scenario, 1)
  t.same(await answersOf(scenario, pods), ['one'])
  const [pod] = pods
  if (pod === undefined) throw new Error('one pod was asked for')

  const saved = await measureSaves(t, scenario, { by: 'aether dev by control', dev, pod, save })
  const markers = await readMarkers(scenario, pod.name)
  for (const digest of saved)
    t.match(
      markers.find((one) => one.kind === 'ok' && one.digest === hexOf(digest)),
      { pairs: { source: 'delta', reused: 'false' } },
      `${digest} came as what changed`,
    )

  const good = `save ${saved.length}`
  const fault = { outcome: 'failed', error: { code: 'unhealthy', message: /^SyntaxError: .*ended while it started/ } }
  await writeFile(server, `${source} what is this`)
  t.match(await dev.next(), fault)
  t.same(await answersOf(scenario, pods), [good], 'the last good one serves on')
  await save(good)
  t.match(await dev.next(), { outcome: 'serving' }, 'undone')
  await writeFile(server, `${source} what is this`)
  t.match(await dev.next(), fault, 'and done again: tried again, by the very annotations that were refused')
  t.same(await answersOf(scenario, pods), [good])

  const elsewhere = { app: 'hello', environment: 'production', digest: first.digest, dev_hot: true }
  const refused = await control.ask('/deployments', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(elsewhere),
  })
  t.match({ status: refused.status, body: await refused.json() }, { status: 422, body: { code: 'development_only' } })

  const scale = (replicas: number) =>
    cluster.kubectl(['scale', '-n', namespace, 'deployment/aether-control', `--replicas=${replicas}`])
  await scale(0)
  await until("the end of control's pod", async () => {
    const left = await cluster.kubectl(['get', 'pod', '-n', namespace, '-l', 'app=aether-control', '-o', 'name'])
    return left === '' ? true : undefined
  })
  await save('while control is away')
  await until('what it says of that', async () => (dev.output().includes('it goes on by itself') ? true : undefined))
  t.same(await answersOf(scenario, pods), [good], 'nobody is hurt')
  await scale(1)
  t.match(await nextServing(dev), { outcome: 'serving' }, 'it goes on by itself')
  t.same(await answersOf(scenario, pods), ['while control is away'])

  t.match(await control.cli(['stop', 'hello', '--yes']), { exitCode: 0 })
  await readyPods(scenario, 0)
  await save('anew')
  t.match(await nextServing(dev), { outcome: 'serving' })
  t.match(dev.output(), /warning: hello was stopped meanwhile by e2e-admin \(stop\): this save deploys it anew/)
  t.same(await answersOf(scenario, await readyPods(scenario, 1)), ['anew'])

  dev.kill('SIGINT')
  t.equal(await dev.ended, 130)
  t.match(dev.output(), /hello in .* goes on serving [0-9a-f]{12}; aether stop hello ends it/)
  t.match(await app.view(), { status: 'running', environment: 'development' })
})
