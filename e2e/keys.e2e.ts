// Keys change as docs/operations.md says: the new one beside the old one, the same release signed anew, the old one away.
// New pods start, and what only the old key signed is refused by pods that live, whatever control took.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createSigningPair, signDigest } from '@aether/artifact/sign'
import { annotations } from '@aether/contract/annotations'
import { parseDigest } from '@aether/contract/digest'
import { startControl } from './kit/control.ts'
import { answersOf, createHelloApp, expectDone } from './kit/hello-app.ts'
import { readyPods, runInside } from './kit/pods.ts'
import { runScenario } from './kit/run-scenario.ts'
import { until } from './kit/until.ts'

await runScenario('keys change', async (t, scenario) => {
  const { cluster, folder, namespace } = scenario
  const control = await startControl(scenario)
  t.teardown(control.close)
  const hello = await createHelloApp(scenario, control)
  const answer = await hello.edit('1.0.0')
  const { digest } = await hello.deploy(['--dev-hot', '--replicas', '1'])
  const [pod] = await readyPods(scenario, 1)
  if (pod === undefined) throw new Error('one pod was asked for')
  const setKeys = (change: object) =>
    cluster.kubectl(['patch', 'secret', 'aether-keys', '-n', namespace, '-p', JSON.stringify(change)])

  const next = createSigningPair()
  const file = join(folder, 'next.pem')
  await writeFile(file, next.publicPem)
  await setKeys({ stringData: { 'next.pem': next.publicPem } })
  expectDone(await control.cli(['keys', 'add', 'hello', file]))
  const keysOf = `console.log(fs.readdirSync('/etc/aether/keys').filter((name) => name.endsWith('.pem')).sort().join(' '))`
  const awaitKeys = (names: string) =>
    until(`${names} in the pod`, async () =>
      (await runInside(scenario, pod.name, 'fetcher', keysOf)) === names ? true : undefined,
    )
  await awaitKeys('e2e.pem next.pem')
  const signedAnew = expectDone(await hello.tryDeploy(['--dev-hot'], { AETHER_SIGNING_KEY: next.privatePem }))
  t.equal(JSON.parse(signedAnew.stdout).digest, digest, 'the same release, signed by the next key')
  const signature = signDigest(parseDigest(digest), next.privateKey)
  await until('its signature on the live pod', async () => {
    const { metadata } = await cluster.core.readNamespacedPod({ name: pod.name, namespace })
    return metadata?.annotations?.[annotations.signature] === signature ? true : undefined
  })

  await setKeys({ data: { 'e2e.pem': null } })
  await cluster.kubectl(['scale', '-n', namespace, 'deployment/hello', '--replicas=2'])
  const pods = await readyPods(scenario, 2)
  t.same(await answersOf(scenario, pods), [answer, answer], 'a pod that knows the next key alone starts with it')

  await awaitKeys('next.pem')
  await hello.edit('2.0.0')
  const refused = await hello.tryDeploy(['--dev-hot'])
  t.equal(refused.exitCode, 1, 'a release that the old key signed does not come to serve')
  t.match(refused.stderr + refused.stdout, /signature/, refused.stderr)
  t.same(await answersOf(scenario, pods), [answer, answer], 'and what served goes on')
  const { identity } = (await readyPods(scenario, 2)).find(({ name }) => name === pod.name) ?? {}
  t.equal(identity, pod.identity, 'in the pod that it was')
})
