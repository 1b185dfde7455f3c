// A signed release that does not come up is taken back: the old version serves, `current` too, no container restarts.
import { hexOf } from '@aether/contract/digest'
import type { Test } from 'tap'
import { annotatePods, deployHello } from './kit/deploy.ts'
import { awaitMarker, currentPods, type Pod, readMarkers, readyPods, runInside } from './kit/pods.ts'
import { annotationsOf, packRelease, type Release } from './kit/releases.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import { until } from './kit/until.ts'

const exits = `console.error('no database'); process.exit(3)\n`
const neverReady = `import { createServer } from 'node:http'
createServer((request, response) => response.writeHead(503).end()).listen(process.env.PORT)
`

await runScenario('an unhealthy release', async (t, scenario) => {
  const { folder, keys, tools } = scenario
  const [v1, crashing, hanging, v2] = await Promise.all([
    packRelease(folder, '1.0.0', keys),
    packRelease(folder, '1.1.0', keys, exits),
    packRelease(folder, '1.2.0', keys, neverReady),
    packRelease(folder, '2.0.0', keys),
  ])
  for (const release of [v1, crashing, hanging, v2]) await tools.put(release.name, release.file)
  await deployHello(scenario, {
    mode: 'watch',
    replicas: 1,
    annotations: annotationsOf(v1, tools.url(v1.name)),
    env: { AETHER_START_TIMEOUT_MS: '2000' },
  })
  const [pod] = await readyPods(scenario, 1)
  if (pod === undefined) throw new Error('one pod was asked for')

  await takenBack(t, scenario, pod, crashing, v1, 'a release that exits at once')
  await takenBack(t, scenario, pod, hanging, v1, 'a release that is never ready')

  const from = (await readMarkers(scenario, pod.name)).length
  await annotatePods(scenario, annotationsOf(v2, tools.url(v2.name)))
  const ok = await awaitMarker(scenario, pod.name, from, 'REFRESH_OK', (marker) => marker.kind === 'ok')
  t.match(ok, { digest: hexOf(v2.digest) }, 'a good release after them is taken')
  await answers(t, scenario, pod, v2)
  t.same(
    (await currentPods(scenario)).map((one) => one.identity),
    [pod.identity],
    'the same pod, and no container was restarted',
  )
})

async function takenBack(t: Test, scenario: Scenario, pod: Pod, bad: Release, old: Release, what: string) {
  const from = (await readMarkers(scenario, pod.name)).length
  await annotatePods(scenario, annotationsOf(bad, scenario.tools.url(bad.name)))
  const fail = await awaitMarker(scenario, pod.name, from, 'REFRESH_FAIL', (marker) => marker.kind === 'fail')
  t.match(fail, { reason: 'unhealthy', pairs: { digest: hexOf(bad.digest) } }, `${what}: REFRESH_FAIL reason=unhealthy`)
  await answers(t, scenario, pod, old)
  const script = `console.log(fs.readlinkSync('/var/lib/aether/workspace/current'))`
  t.equal(
    await runInside(scenario, pod.name, 'fetcher', script),
    `releases/sha256-${hexOf(old.digest)}`,
    `${what}: current is back`,
  )
}

/** The old release has to be started again, so its answer is waited for. */
async function answers(t: Test, { tools }: Scenario, pod: Pod, release: Release): Promise<void> {
  const found = await until(`${release.answer} from ${pod.name}`, async () => {
    const { body } = await tools.ask({ host: pod.ip, port: 8080, path: '/' })
    return body.trim() === release.answer ? release.answer : undefined
  })
  t.equal(found, release.answer, `${release.answer} serves`)
}
