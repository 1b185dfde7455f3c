// Who gets what from control: a pod its own app's artifact by its projected token and nothing else, a pod of another app
// 403, whoever is no pod of control's 401; a token of a user what its role says, and nothing once it is revoked.
import { roles } from '@aether/contract/control-api'
import { startControl } from './kit/control.ts'
import { createHelloApp } from './kit/hello-app.ts'
import { nameOf, runInside } from './kit/pods.ts'
import { restrictedContainer, restrictedPod } from './kit/restricted.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import { until } from './kit/until.ts'

const audience = 'aether-control'

await runScenario('who may what at control', async (t, scenario) => {
  const { cluster, namespace } = scenario
  const control = await startControl(scenario)
  t.teardown(control.close)
  const origin = `http://aether-control.${namespace}`

  const hello = await createHelloApp(scenario, control)
  const other = await createHelloApp(scenario, control, 'other')
  await hello.edit('1.0.0')
  await other.edit('1.0.0')
  const [{ digest: ours }, { digest: theirs }] = await Promise.all([
    hello.deploy(['--dev-hot', '--replicas', '1']),
    other.deploy(['--dev-hot', '--replicas', '1']),
  ])
  const pod = await podOf(scenario, 'hello')
  const otherPod = await podOf(scenario, 'other')
  const asked = await (await control.ask('/metrics')).text()
  const got = /^http_requests_total\{.*route="\/artifacts\/:digest".*\} (\d+)$/m.exec(asked)
  t.match(got?.[0], 'status="200"', `two pods started by what control gave them: ${got?.[0]}`)
  const nobody = await control.ask(`/artifacts/${ours}`, { headers: { authorization: '' } })
  t.equal(nobody.status, 401, 'and it gives nothing to who shows no token')

  /** Asks from inside a pod, with the token that is mounted there. */
  async function askFrom(name: string, path: string, method = 'GET'): Promise<string> {
    const script = `
      const token = fs.readFileSync('/var/run/secrets/aether/token', 'utf8').trim()
      const headers = { authorization: 'Bearer ' + token }
      const response = await fetch('${origin}${path}', { method: '${method}', headers })
      const body = await response.arrayBuffer()
      console.log(response.status, response.headers.get('content-type'), body.byteLength)`
    return (await runInside(scenario, name, 'fetcher', script)).trim()
  }
  t.match(await askFrom(pod, `/artifacts/${ours}`), /^200 application\/octet-stream [1-9]/, "a pod gets its own app's")
  t.match(await askFrom(otherPod, `/artifacts/${theirs}`), /^200 /, 'and so does one of the other app')
  t.match(await askFrom(otherPod, `/artifacts/${ours}`), /^403 application\/problem/, 'of another app it gets none')
  t.match(await askFrom(pod, `/artifacts/${theirs}`), /^403 /, 'neither way')
  t.match(await askFrom(pod, '/deployments'), /^403 /, 'what users ask is not for pods')
  t.match(await askFrom(pod, '/apps', 'POST'), /^403 /)

  const bound = (name: string) => ['--bound-object-kind=Pod', `--bound-object-name=${name}`]
  /** What control answers to GET of our artifact, with a token made for this. */
  async function statusWith(account: string, options: readonly string[]): Promise<number> {
    const token = await cluster.kubectl(['create', 'token', account, '--namespace', namespace, ...options])
    const headers = { authorization: `Bearer ${token.trim()}` }
    return (await control.ask(`/artifacts/${ours}`, { headers })).status
  }
  t.equal(await statusWith('hello', [...bound(pod), `--audience=${audience}`]), 200, 'a token as the kubelet makes it')
  t.equal(await statusWith('other', [...bound(otherPod), `--audience=${audience}`]), 403, "of the other app's pod")
  t.equal(await statusWith('hello', [...bound(pod), '--audience=somebody-else']), 401, 'for another audience')
  t.equal(await statusWith('hello', bound(pod)), 401, "for the API server's own")
  t.equal(await statusWith('hello', [`--audience=${audience}`]), 401, 'of the account, and no pod')
  t.equal(await statusWith('tools', [...bound('tools'), `--audience=${audience}`]), 401, 'a pod that nobody deployed')
  await startImpostor(scenario)
  t.equal(
    await statusWith('hello', [...bound('impostor'), `--audience=${audience}`]),
    401,
    "a pod that only bears the app's labels and its service account",
  )

  const asUploader = { authorization: `Bearer ${control.tokens.uploader}`, 'content-type': 'application/json' }
  const key = { method: 'POST', headers: asUploader, body: JSON.stringify({ key: 'x' }) }
  t.equal((await control.ask('/apps/hello/public-keys', key)).status, 403, 'an uploader registers no key')
  const asReader = { AETHER_TOKEN: control.tokens.reader }
  await hello.edit('2.0.0')
  const refused = await hello.tryDeploy([], asReader)
  t.match(JSON.parse(refused.stdout), { error: { code: 'forbidden' } }, refused.stderr)
  t.equal((await hello.view()).digest, ours, 'a reader deploys nothing')
  t.match(await control.cli(['status', 'hello'], asReader), { exitCode: 0 }, 'and reads')

  const kept = roles.filter((role) => role !== 'reader').map((role) => `${control.tokens[role]}:${role}:e2e-${role}`)
  const secret = JSON.stringify({ stringData: { AETHER_API_TOKENS: kept.join(',') } })
  await cluster.kubectl(['patch', 'secret', 'aether-control-env', '--namespace', namespace, '--patch', secret])
  await cluster.kubectl(['rollout', 'restart', '--namespace', namespace, 'deployment/aether-control'])
  await cluster.kubectl(['rollout', 'status', '--namespace', namespace, 'deployment/aether-control', '--timeout=55s'])
  await until('control at its address', async () => ((await control.ask('/apps')).ok ? true : undefined))
  const revoked = await control.cli(['status', 'hello'], asReader)
  t.equal(revoked.exitCode, 10, revoked.stderr)
  const headers = { authorization: `Bearer ${control.tokens.reader}` }
  t.equal((await control.ask('/apps', { headers })).status, 401, 'a token that was taken out is good for nothing')
})

async function podOf({ cluster, namespace }: Scenario, app: string): Promise<string> {
  const { items } = await cluster.core.listNamespacedPod({ namespace, labelSelector: `aether.dev/app=${app}` })
  const [pod] = items
  if (pod === undefined || items.length > 1) throw new Error(`one pod of ${app} was expected`)
  return nameOf(pod)
}

/** It need not run: a token is bound to what is there. */
async function startImpostor({ cluster, config, namespace }: Scenario): Promise<void> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'impostor', labels: { app: 'hello', 'aether.dev/app': 'hello' } },
    spec: {
      serviceAccountName: 'hello',
      securityContext: restrictedPod,
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'impostor',
          image: config.nodejsImage,
          command: ['/usr/local/bin/node', '-e', 'setInterval(() => {}, 1000)'],
          securityContext: restrictedContainer,
        },
      ],
    },
  }
  await cluster.kubectl(['create', '--namespace', namespace, '-f', '-'], JSON.stringify(pod))
}
