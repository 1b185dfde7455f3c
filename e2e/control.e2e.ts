// Control with a PostgreSQL of its own, from k8s/control: it gets ready in a restricted namespace, the CLI reaches it, it
// outlives its database and its own pod, and nothing of it stays in the cluster.
import { startControl } from './kit/control.ts'
import { runScenario } from './kit/run-scenario.ts'
import { until } from './kit/until.ts'

await runScenario('control', async (t, scenario) => {
  const { cluster, namespace } = scenario
  const began = performance.now()
  const control = await startControl(scenario)
  t.teardown(control.close)
  t.comment(`PostgreSQL and control ready after ${(performance.now() - began).toFixed()} ms`)

  const { exitCode, stdout, stderr } = await control.cli(['apps', 'create', 'hello', '--output', 'json'])
  t.equal(exitCode, 0, stderr)
  t.match(JSON.parse(stdout), { name: 'hello' })
  const refused = await control.cli(['apps', 'create', 'other'], { AETHER_TOKEN: control.tokens.reader })
  t.not(refused.exitCode, 0, 'a reader makes no app')
  t.equal((await control.ask('/docs/static/swagger-ui-bundle.js')).status, 200)

  const hasApp = async () => ((await control.ask('/apps/hello')).status === 200 ? true : undefined)
  await cluster.kubectl(['exec', '-n', namespace, 'deployment/aether-postgres', '--', 'sh', '-c', 'kill -INT 1'])
  await until('a restart of PostgreSQL', async () => {
    const { items } = await cluster.core.listNamespacedPod({ namespace, labelSelector: 'app=aether-postgres' })
    return items[0]?.status?.containerStatuses?.[0]?.restartCount === 1 ? true : undefined
  })
  t.ok(await until('the app, after a restart of PostgreSQL', hasApp))

  await cluster.kubectl(['delete', 'pod', '-n', namespace, '-l', 'app=aether-control'])
  t.ok(await until('the app, from a new pod at the same address', hasApp))
})
