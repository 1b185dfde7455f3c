// The API server goes away for minutes and comes back: what serves goes on serving, no probe fails meanwhile, and the
// next target is taken up. Runs only where two commands say how to stop and start it (README.md).
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { hexOf } from '@aether/contract/digest'
import { execa } from 'execa'
import { type Test, test } from 'tap'
import { loadConfig } from './kit/config.ts'
import { annotatePod, deployHello } from './kit/deploy.ts'
import { createPodsDeveloper, deployForDeveloper, nextServing, startDev } from './kit/developer.ts'
import { type Asked, keepAsking } from './kit/keep-asking.ts'
import { awaitMarker, listPods, type Pod, readyPods } from './kit/pods.ts'
import { annotationsOf, packRelease, type Release } from './kit/releases.ts'
import { runScenario } from './kit/run-scenario.ts'
import { openScenario, type Scenario } from './kit/scenario.ts'
import { ask } from './kit/tools/ask.ts'
import { until } from './kit/until.ts'

const { apiServer } = loadConfig()
const hello = fileURLToPath(new URL('../examples/hello', import.meta.url))
const shortMs = 4000
const kills = 2

if (apiServer === undefined)
  await test('the API server goes away', {
    skip: 'AETHER_E2E_APISERVER_STOP and AETHER_E2E_APISERVER_START are not both set',
  }, async () => {})
else {
  const { stop, start, downMs } = apiServer

  // All of it in one scenario and one pod: to deploy into a cluster that is still coming back takes longer than what is shown.
  await runScenario(
    'API server down',
    async (t, scenario) => {
      const { pod, first, releases } = await deployFirst(scenario, 2 + kills)
      const [next, ...others] = releases
      if (next === undefined) throw new Error('two releases were asked for')
      const readyBefore = await readySince(scenario)
      const developer = await beginDeveloping(t)

      const asking = keepAsking(everyProbe(pod), 250)
      await shell(stop)
      t.equal((await scenario.cluster.tryKubectl(['get', '--raw', '/readyz'])).includes('ok'), false, 'it is away')
      await Promise.all([sleep(downMs), developer.saveMeanwhile()])
      t.equal(await bodyOf(pod), first.answer, 'the app answers while it is away')
      const started = shell(start)
      const { patchedAt, triesMs } = await annotateSoon(scenario, pod, next)
      for (const asked of await asking.end()) reportAsked(t, asked)
      await started
      const convergedMs = await servesAfter(pod, next, patchedAt)
      const ok = await okOf(scenario, pod, next)
      t.comment(
        `away for ${downMs / 1000} s; started -> PATCH taken ${triesMs.toFixed()} ms; PATCH -> new answer ${convergedMs.toFixed()} ms; ${JSON.stringify(ok)}`,
      )
      t.equal(ok.kind, 'ok', 'the digest annotated right after is taken up')
      await sameAndReady(t, scenario, pod, readyBefore, patchedAt)
      await developer.end()

      for (const release of others) await killAtPatch(t, scenario, pod, release, { stop, start })
      await sameAndReady(t, scenario, pod, readyBefore, patchedAt)
    },
    downMs + 240_000 + kills * 60_000,
  )
}

/** The API server is killed in the moment in which it has taken the PATCH, so that the event of it may be lost. */
async function killAtPatch(
  t: Test,
  scenario: Scenario,
  pod: Pod,
  release: Release,
  { stop, start }: { stop: string; start: string },
) {
  // The shell is there already and waits for a line, so that nothing but the kill itself comes after the PATCH.
  const killer = execa('sh', ['-c', `read go; ${stop}`], { stdin: 'pipe' })
  await sleep(shortMs)
  await annotateSoon(scenario, pod, release)
  killer.stdin.end('go\n')
  await killer
  await sleep(shortMs)
  const cameBefore = (await bodyOf(pod)) === release.answer
  const startedAt = performance.now()
  await shell(start)
  const convergedMs = await servesAfter(pod, release, startedAt)
  t.comment(
    cameBefore
      ? 'the event came before the kill'
      : `the event was lost; start -> new answer ${convergedMs.toFixed()} ms`,
  )
  t.equal((await okOf(scenario, pod, release)).kind, 'ok', `${release.answer}, annotated right before, is taken up`)
}

/** `aether dev --pods` in a namespace beside, from its first save to the one that is made while the API server is away. */
async function beginDeveloping(t: Test) {
  const { scenario, close } = await openScenario('API server away from aether dev')
  t.teardown(close)
  await deployForDeveloper(scenario)
  const developer = await createPodsDeveloper(scenario, hello)
  const server = join(developer.app, 'server.js')
  const source = await readFile(server, 'utf8')
  const save = (answer: string) => writeFile(server, source.replace('hello from ${version}', answer))
  await save('before')
  const dev = startDev(developer, ['--context', 'developer', '--no-logs'])
  t.match(await dev.next(), { outcome: 'serving' }, 'aether dev: the first save')
  const pods = await readyPods(scenario, 1)
  const [pod] = pods
  if (pod === undefined) throw new Error('one pod was asked for')
  return {
    async saveMeanwhile() {
      await save('meanwhile')
      await until('what aether dev says of it', async () =>
        dev.output().includes('it goes on by itself') ? true : undefined,
      )
      t.equal(await bodyOf(pod), 'before', 'aether dev: the app serves on')
    },
    async end() {
      t.match(
        await nextServing(dev),
        { outcome: 'serving', changed: ['server.js'] },
        'aether dev: it went on by itself',
      )
      t.equal(await bodyOf(pod), 'meanwhile')
      t.same(await readyPods(scenario, 1), pods, 'aether dev: the same pod, and no container was restarted')
      dev.kill('SIGINT')
      t.equal(await dev.ended, 130)
    },
  }
}

/** One pod with the first release; answers the others, published and not yet annotated. */
async function deployFirst(scenario: Scenario, count: number) {
  const { folder, keys, tools } = scenario
  const releases: Release[] = []
  for (let at = 1; at <= count; at++) {
    const release = await packRelease(folder, `${at}.0.0`, keys)
    await tools.put(release.name, release.file)
    releases.push(release)
  }
  const first = releases.shift()
  if (first === undefined) throw new Error('no release was packed')
  const annotations = annotationsOf(first, tools.url(first.name))
  await deployHello(scenario, { mode: 'watch', replicas: 1, annotations })
  const [pod] = await readyPods(scenario, 1)
  if (pod === undefined) throw new Error('one pod was asked for')
  await okOf(scenario, pod, first)
  return { pod, first, releases }
}

/** What the kubelet asks, and the app itself: at the pod's address, because the way through the API server is cut. */
function everyProbe({ ip: host }: Pod) {
  return [
    { host, port: 19_464, path: '/readyz' },
    { host, port: 19_464, path: '/livez' },
    { host, port: 19_465, path: '/livez' },
    { host, port: 8080, path: '/' },
  ]
}

function reportAsked(t: Test, { address, requests, failed }: Asked): void {
  const what = `:${address.port}${address.path}`
  t.ok(requests > 0, `${what} was asked ${requests} times`)
  t.same(failed, [], `${what} never failed`)
}

/** Tries until the API server takes the PATCH. */
async function annotateSoon(scenario: Scenario, pod: Pod, release: Release) {
  const began = performance.now()
  const annotations = annotationsOf(release, scenario.tools.url(release.name))
  for (;;) {
    try {
      await annotatePod(scenario, pod.name, annotations)
      return { patchedAt: performance.now(), triesMs: performance.now() - began }
    } catch (error) {
      if (performance.now() - began > 90_000) throw error
      await sleep(100)
    }
  }
}

async function servesAfter(pod: Pod, release: Release, since: number): Promise<number> {
  await until(`${release.answer} from ${pod.name}`, async () =>
    (await bodyOf(pod)) === release.answer ? true : undefined,
  )
  return performance.now() - since
}

async function bodyOf({ ip: host }: Pod): Promise<string> {
  return (await ask({ host, port: 8080, path: '/' })).body.trim()
}

function okOf(scenario: Scenario, pod: Pod, { digest }: Release) {
  const isWanted = (marker: { kind: string; digest?: string }) =>
    marker.kind === 'ok' && marker.digest === hexOf(digest)
  return awaitMarker(scenario, pod.name, 0, `REFRESH_OK of ${digest}`, isWanted)
}

async function readySince(scenario: Scenario): Promise<Date> {
  const [pod] = await listPods(scenario)
  const at = pod?.status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime
  if (at === undefined) throw new Error('the pod has no condition Ready')
  return at
}

/** The same pod, no restart; Ready has not changed, but for the refresh itself, which makes the pod unready at its swap. */
async function sameAndReady(t: Test, scenario: Scenario, pod: Pod, before: Date, patchedAt: number) {
  const [now] = await readyPods(scenario, 1)
  t.equal(now?.identity, pod.identity, 'the same pod, and no container was restarted')
  const since = await readySince(scenario)
  const isOfTheRefresh = since.getTime() > performance.timeOrigin + patchedAt - 1000 // told in whole seconds
  t.ok(
    since.getTime() === before.getTime() || isOfTheRefresh,
    `Ready since ${since.toISOString()}, before: ${before.toISOString()}`,
  )
}

/** Its output is not waited for: what it starts may keep the pipe. */
async function shell(command: string): Promise<void> {
  await execa('sh', ['-c', command], { stdio: 'ignore' })
}
