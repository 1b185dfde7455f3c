// Mode file: pods follow the downward-API file of their annotations, and hold no token at all.
import { listPods, nameOf, runInside } from './kit/pods.ts'
import { refreshInPlace } from './kit/refresh-body.ts'
import { runScenario } from './kit/run-scenario.ts'

const token = '/var/run/secrets/kubernetes.io/serviceaccount/token'

await runScenario('refresh in mode file', async (t, scenario) => {
  await refreshInPlace(t, scenario, 'file')
  for (const pod of await listPods(scenario)) {
    const volumes = pod.spec?.volumes ?? []
    const withToken = volumes.filter((volume) => volume.projected?.sources?.some((one) => one.serviceAccountToken))
    t.same(withToken, [], `${nameOf(pod)} has no volume with a token`)
    for (const container of ['fetcher', 'app'])
      t.equal(
        await runInside(scenario, nameOf(pod), container, `console.log(fs.existsSync('${token}'))`),
        'false',
        `no token in ${container} of ${nameOf(pod)}`,
      )
  }
  const accounts = await scenario.cluster.kubectl(['get', 'serviceaccounts', '-n', scenario.namespace, '-o', 'name'])
  t.notMatch(accounts, /aether-dev-hot/, 'the overlay makes no service account')
})
