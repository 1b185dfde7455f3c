// What may go wrong in the middle of a swap, in a pod: the release crashes once it serves, the container is killed, the pod is
// deleted, there is no memory for two. Each time the last good release serves, and the outcome is said once.
import { hexOf } from '@aether/contract/digest'
import type { Test } from 'tap'
import { annotatePods, deployHello } from './kit/deploy.ts'
import { awaitLine, awaitMarker, currentPods, type Pod, readMarkers, readyPods, runInside } from './kit/pods.ts'
import { annotationsOf, packRelease, type Release } from './kit/releases.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import { until } from './kit/until.ts'

const crashesLater = `import { createServer } from 'node:http'
createServer((request, response) => response.end('crashing soon')).listen(process.env.PORT)
setTimeout(() => { console.error('lost the database'); process.exit(3) }, 300)
`
const neverReady = `setInterval(() => {}, 1000)\n`
const startTimeoutMs = 20_000
const graceSeconds = 30

await runScenario(
  'swap faults',
  async (t, scenario) => {
    const { folder, keys, tools } = scenario
    const [v1, crashing, hanging, v2, v3] = await Promise.all([
      packRelease(folder, '1.0.0', keys),
      packRelease(folder, '1.1.0', keys, crashesLater),
      packRelease(folder, '1.2.0', keys, neverReady),
      packRelease(folder, '2.0.0', keys),
      packRelease(folder, '3.0.0', keys),
    ])
    for (const release of [v1, crashing, hanging, v2, v3]) await tools.put(release.name, release.file)
    const deploy = (appMemory?: string) =>
      deployHello(scenario, {
        mode: 'watch',
        replicas: 1,
        annotations: annotationsOf(v1, tools.url(v1.name)),
        env: { AETHER_START_TIMEOUT_MS: String(startTimeoutMs) },
        fetcherEnv: { AETHER_MIN_REFRESH_INTERVAL_MS: '0' },
        ...(appMemory === undefined ? {} : { appMemory }),
      })
    await deploy()
    const pod = await thePod(scenario)

    await crashesAgainAndAgain(t, scenario, pod, crashing, v1)
    await killedInMidSwap(t, scenario, pod, hanging, v1)
    await refreshed(t, scenario, pod, v2, 'after both a good release is taken')
    await deletedInMidSwap(t, scenario, pod, hanging)

    await deploy('64Mi')
    const tight = await until('a pod with a tight limit', async () => {
      const [found] = await readyPods(scenario, 1)
      return found !== undefined && found.name.split('-')[1] !== pod.name.split('-')[1] ? found : undefined
    })
    await refreshed(t, scenario, tight, v3, 'without memory for two processes')
    const words = 'no overlap for this swap'
    const said = await awaitLine(scenario, tight.name, 'app', words, (line) => line.includes(words))
    t.match(said, /MiB are free of 64 MiB/, 'the log says why it was made by one process at a time')
  },
  300_000,
)

async function crashesAgainAndAgain(t: Test, scenario: Scenario, pod: Pod, bad: Release, good: Release): Promise<void> {
  const from = await ask(scenario, bad, pod)
  const isFail = (marker: { kind: string }) => marker.kind === 'fail'
  const fail = await awaitMarker(scenario, pod.name, from, 'REFRESH_FAIL', isFail)
  t.match(fail, { reason: 'unhealthy', pairs: { detail: 'crashed', digest: hexOf(bad.digest) } })
  await answers(t, scenario, pod, good, 'a release that crashes again and again is taken back')
  const fails = (await readMarkers(scenario, pod.name)).slice(from).filter(isFail)
  t.equal(fails.length, 1, 'which is said once')
  const words = 'lost the database'
  t.ok(
    await awaitLine(scenario, pod.name, 'app', words, (line) => line === words),
    'the last words of the app are in the log',
  )
}

async function killedInMidSwap(t: Test, scenario: Scenario, pod: Pod, bad: Release, good: Release): Promise<void> {
  const from = await ask(scenario, bad, pod)
  await until('the swap to begin', async () => ((await swapState(scenario, pod)) === 'swapping' ? true : undefined))
  const kill = `for (const pid of fs.readdirSync('/proc')) {
  if (!/^\\d+$/.test(pid) || Number(pid) === process.pid) continue
  if (fs.readFileSync('/proc/' + pid + '/cmdline', 'utf8').includes('bin/supervisor')) process.kill(Number(pid), 'SIGKILL')
}`
  await runInside(scenario, pod.name, 'app', kill).catch(() => '') // the container ends with it
  const fail = await awaitMarker(scenario, pod.name, from, 'REFRESH_FAIL', (marker) => marker.kind === 'fail')
  t.match(fail, { reason: 'unhealthy', pairs: { digest: hexOf(bad.digest) } }, 'the release in mid-swap is refused')
  await answers(t, scenario, pod, good, 'the whole container killed in mid-swap')
  await until('the restart of the container', async () => {
    const [after] = await currentPods(scenario)
    return after?.identity.includes('app:1') ? true : undefined
  })
}

async function deletedInMidSwap(t: Test, scenario: Scenario, pod: Pod, bad: Release): Promise<void> {
  const { cluster, namespace } = scenario
  await ask(scenario, bad, pod)
  await until('the swap to begin', async () => ((await swapState(scenario, pod)) === 'swapping' ? true : undefined))
  const { metadata } = await cluster.core.readNamespacedPod({ namespace, name: pod.name })
  await cluster.core.deleteNamespacedPod({ namespace, name: pod.name })
  const began = performance.now()
  await until('the pod to be gone', async () => {
    const pods = await currentPods(scenario)
    return pods.some(({ identity }) => identity.includes(metadata?.uid ?? '')) ? undefined : true
  })
  const tookMs = performance.now() - began
  t.ok(tookMs < graceSeconds * 1000, `deleted in mid-swap, it ended by itself after ${Math.round(tookMs)} ms`)
}

async function refreshed(t: Test, scenario: Scenario, pod: Pod, release: Release, what: string): Promise<void> {
  const from = await ask(scenario, release, pod)
  const ok = await awaitMarker(scenario, pod.name, from, 'REFRESH_OK', (marker) => marker.kind === 'ok')
  t.match(ok, { digest: hexOf(release.digest) }, what)
  await answers(t, scenario, pod, release, what)
}

/** Annotates, and answers how many markers there were before. */
async function ask(scenario: Scenario, release: Release, pod: Pod): Promise<number> {
  const { length } = await readMarkers(scenario, pod.name)
  await annotatePods(scenario, annotationsOf(release, scenario.tools.url(release.name)))
  return length
}

async function swapState(scenario: Scenario, pod: Pod): Promise<unknown> {
  const script = `console.log(JSON.parse(fs.readFileSync('/run/aether/supervisor.json', 'utf8')).state)`
  return runInside(scenario, pod.name, 'fetcher', script)
}

async function answers(t: Test, { tools }: Scenario, pod: Pod, release: Release, what: string): Promise<void> {
  const found = await until(`${release.answer} from ${pod.name}`, async () => {
    const { body } = await tools.ask({ host: pod.ip, port: 8080, path: '/' })
    return body.trim() === release.answer ? release.answer : undefined
  })
  t.equal(found, release.answer, `${what}: ${release.answer} serves`)
}

async function thePod(scenario: Scenario): Promise<Pod> {
  const [pod] = await readyPods(scenario, 1)
  if (pod === undefined) throw new Error('one pod was asked for')
  return pod
}
