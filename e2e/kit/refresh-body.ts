// The body of the scenarios `refresh-watch`, `refresh-poll` and `refresh-file`: two pods go through good and bad targets in place.
import { createSigningPair, signDigest } from '@aether/artifact/sign'
import { annotations } from '@aether/contract/annotations'
import { hexOf } from '@aether/contract/digest'
import type { Reason } from '@aether/contract/reasons'
import type { Test } from 'tap'
import { annotatePods, deployHello, type Mode } from './deploy.ts'
import { awaitMarker, currentPods, type Pod, readMarkers, readyPods, runInside } from './pods.ts'
import { annotationsOf, packRelease, type Release } from './releases.ts'
import type { Scenario } from './scenario.ts'
import { until } from './until.ts'

const helloPort = 8080

export async function refreshInPlace(t: Test, scenario: Scenario, mode: Mode): Promise<void> {
  const { folder, keys, tools } = scenario
  const [v1, v2, v3] = await Promise.all(['1.0.0', '2.0.0', '3.0.0'].map((one) => packRelease(folder, one, keys)))
  if (v1 === undefined || v2 === undefined || v3 === undefined) throw new Error('three releases were asked for')
  for (const release of [v1, v2, v3]) await tools.put(release.name, release.file)
  const asking = (release: Release) => annotationsOf(release, tools.url(release.name))

  await deployHello(scenario, { mode, replicas: 2, annotations: asking(v1) })
  const pods = await readyPods(scenario, 2)
  const before = pods.map((pod) => pod.identity)
  await serves(t, scenario, pods, v1, 'the first release')

  for (const [release, what] of [
    [v2, 'v2 takes the place of v1'],
    [v1, 'v1 comes back'],
  ] as const) {
    await refreshed(t, scenario, pods, release, asking(release), what)
  }

  const counts = await tools.counts()
  t.equal(counts[v1.name], 2, 'v1 was downloaded once by each pod: the way back took it from the disk')
  const buildTime = new Date().toISOString()
  await annotatePods(scenario, { ...asking(v1), [annotations.buildTime]: buildTime })
  for (const pod of pods) await seenInside(scenario, pod, buildTime)
  t.same(await tools.counts(), counts, 'the same digest with another build-time downloads nothing')

  const forged = signDigest(v3.digest, createSigningPair().privateKey)
  for (const [reason, bad] of [
    ['signature', { ...asking(v3), [annotations.signature]: forged }],
    ['checksum', { ...asking(v3), [annotations.artifactUrl]: tools.url(v2.name) }],
    ['download', annotationsOf(v3, tools.url('nothing-here.tar.gz'))],
  ] as const) {
    await refused(t, scenario, pods, reason, bad)
    await serves(t, scenario, pods, v1, `after reason ${reason}`)
  }
  t.equal((await tools.counts())[v3.name], undefined, 'what was not signed by our key was never asked for')

  await refreshed(t, scenario, pods, v3, asking(v3), 'a good target after the bad ones')
  t.same(
    (await currentPods(scenario)).map((pod) => pod.identity),
    before,
    'the same pods, and no container was restarted',
  )
}

async function refreshed(
  t: Test,
  scenario: Scenario,
  pods: readonly Pod[],
  release: Release,
  wanted: Readonly<Record<string, string>>,
  what: string,
): Promise<void> {
  const from = await markersSoFar(scenario, pods)
  await annotatePods(scenario, wanted)
  for (const [at, pod] of pods.entries()) {
    const ok = await awaitMarker(scenario, pod.name, from[at] ?? 0, 'REFRESH_OK', (marker) => marker.kind === 'ok')
    t.match(ok, { app: 'hello', digest: hexOf(release.digest) }, `${what}: REFRESH_OK of ${pod.name}`)
  }
  await serves(t, scenario, pods, release, what)
}

async function refused(
  t: Test,
  scenario: Scenario,
  pods: readonly Pod[],
  reason: Reason,
  bad: Readonly<Record<string, string>>,
): Promise<void> {
  const from = await markersSoFar(scenario, pods)
  await annotatePods(scenario, bad)
  for (const [at, pod] of pods.entries()) {
    const isFail = (marker: { kind: string }) => marker.kind === 'fail'
    const fail = await awaitMarker(scenario, pod.name, from[at] ?? 0, 'REFRESH_FAIL', isFail)
    t.match(fail, { app: 'hello', reason }, `REFRESH_FAIL reason=${reason} of ${pod.name}`)
    await until(`nothing in staging of ${pod.name}`, async () => {
      const script = `console.log(fs.readdirSync('/var/lib/aether/staging').length)`
      return (await runInside(scenario, pod.name, 'fetcher', script)) === '0' ? true : undefined
    })
  }
}

/** Each pod answers by its own address; a pod that just swapped is waited for. */
async function serves(t: Test, scenario: Scenario, pods: readonly Pod[], release: Release, what: string) {
  for (const pod of pods) {
    const answer = await scenario.tools.ask({ host: pod.ip, port: helloPort, path: '/' })
    t.match(answer, { status: 200, error: null }, `${what}: ${pod.name} answers`)
    t.equal(answer.body.trim(), release.answer, `${what}: ${pod.name} answers ${release.answer}`)
  }
}

/** The kubelet writes the file after the watch had the event, so whoever sees it here knows that the fetcher did. */
function seenInside(scenario: Scenario, pod: Pod, text: string): Promise<true> {
  return until(`${text} in the annotations file of ${pod.name}`, async () => {
    const script = `console.log(fs.readFileSync('/etc/podinfo/annotations', 'utf8'))`
    return (await runInside(scenario, pod.name, 'fetcher', script)).includes(text) ? true : undefined
  })
}

function markersSoFar(scenario: Scenario, pods: readonly Pod[]): Promise<readonly number[]> {
  return Promise.all(pods.map(async (pod) => (await readMarkers(scenario, pod.name)).length))
}
