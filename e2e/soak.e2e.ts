// Many refreshes in a row, then a burst: nothing is lost, nothing is reported twice, nothing is left over.
import { hexOf } from '@aether/contract/digest'
import type { Test } from 'tap'
import { loadConfig } from './kit/config.ts'
import { annotatePod, deployHello } from './kit/deploy.ts'
import { currentPods, type Pod, readyPods } from './kit/pods.ts'
import { annotationsOf, packRelease, type Release } from './kit/releases.ts'
import { median, reportRows } from './kit/report.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import { countOnDisk, listCommands, memoryRow, readOutcomes } from './kit/soak.ts'
import { until } from './kit/until.ts'

const { soakRefreshes } = loadConfig()
const keepReleases = 3
const burst = 20

for (const mode of ['watch', 'file'] as const)
  await runScenario(
    `soak in mode ${mode}`,
    async (t, scenario) => {
      const [first, ...others] = await publish(scenario, soakRefreshes + burst + 1)
      if (first === undefined) throw new Error('no release was packed')
      await deployHello(scenario, {
        mode,
        replicas: 1,
        annotations: asking(scenario, first),
        env: { AETHER_DRAIN_MAX_MS: '0' },
        fetcherEnv: { AETHER_MIN_REFRESH_INTERVAL_MS: '0' },
      })
      const [pod] = await readyPods(scenario, 1)
      if (pod === undefined) throw new Error('one pod was asked for')
      const commands = await until('the spare process', async () => {
        const found = await listCommands(scenario, pod)
        return found.some((command) => command.includes('empty.cjs')) ? found : undefined
      })
      const rows = [await memoryRow(scenario, pod, 'before')]

      await inARow(t, scenario, pod, others.slice(0, soakRefreshes))
      rows.push(await memoryRow(scenario, pod, `after ${soakRefreshes} refreshes`))
      await atOnce(t, scenario, pod, others.slice(soakRefreshes))
      rows.push(await memoryRow(scenario, pod, `after a burst of ${burst}`))
      reportRows(t, scenario, `soak in mode ${mode}`, rows)

      const expected = JSON.stringify(commands)
      await until(`these processes and no other: ${expected}`, async () =>
        JSON.stringify(await listCommands(scenario, pod)) === expected ? true : undefined,
      )
      const disk = await countOnDisk(scenario, pod)
      t.ok(Number(disk.releases) <= keepReleases, `${disk.releases} releases on disk`)
      t.match(disk, { records: disk.releases, staging: 0 }, 'a record for each, and nothing in staging')
      const identities = (await currentPods(scenario)).map(({ identity }) => identity)
      t.same(identities, [pod.identity], 'the same pod, and no container was restarted')
    },
    120_000 + 2 * soakRefreshes * 5000,
  )

/** Each is annotated as soon as the one before it serves, which may be before that was reported. */
async function inARow(t: Test, scenario: Scenario, pod: Pod, releases: readonly Release[]): Promise<void> {
  const tookMs: number[] = []
  for (const release of releases) {
    const began = performance.now()
    await annotatePod(scenario, pod.name, asking(scenario, release))
    await serves(scenario, pod, release)
    tookMs.push(performance.now() - began)
  }
  t.comment(`annotated -> seen serving: p50 ${median(tookMs).toFixed()} ms, max ${Math.max(...tookMs).toFixed()} ms`)
  await allTold(t, scenario, pod, releases)
}

/** As fast as the API takes them: the last one wins, and what it overtook is no failure. */
async function atOnce(t: Test, scenario: Scenario, pod: Pod, releases: readonly Release[]): Promise<void> {
  const began = performance.now()
  for (const release of releases) await annotatePod(scenario, pod.name, asking(scenario, release))
  const writtenMs = performance.now() - began
  const last = releases.at(-1)
  if (last === undefined) return
  await serves(scenario, pod, last)
  const servesMs = performance.now() - began
  t.comment(
    `burst of ${releases.length}: written in ${writtenMs.toFixed()} ms, the last serves ${servesMs.toFixed()} ms`,
  )
  await until('REFRESH_OK of the last', async () =>
    (await readOutcomes(scenario, pod)).ok.has(hexOf(last.digest)) ? true : undefined,
  )
  const { ok, fails } = await readOutcomes(scenario, pod)
  t.same(fails, [], 'no REFRESH_FAIL')
  const twice = releases.filter(({ digest }) => (ok.get(hexOf(digest)) ?? 0) > 1)
  t.same(twice, [], 'none of the burst is reported twice')
  const { length } = releases.filter(({ digest }) => ok.has(hexOf(digest)))
  t.comment(`${length} of the burst were reported, the others overtaken`)
  t.equal(await body(scenario, pod), last.answer, 'the last of the burst still serves')
}

async function allTold(t: Test, scenario: Scenario, pod: Pod, releases: readonly Release[]): Promise<void> {
  const last = releases.at(-1)
  if (last === undefined) return
  await until('REFRESH_OK of the last', async () =>
    (await readOutcomes(scenario, pod)).ok.has(hexOf(last.digest)) ? true : undefined,
  )
  const { ok, overtaken, fails } = await readOutcomes(scenario, pod)
  t.same(fails, [], 'no REFRESH_FAIL')
  const hexes = releases.map(({ digest }) => hexOf(digest))
  const once = hexes.filter((hex) => ok.get(hex) === 1)
  const untold = hexes.filter((hex) => ok.get(hex) === undefined)
  t.same(
    untold.filter((hex) => !overtaken.has(hex)),
    [],
    'each digest is reported, or was overtaken by a newer one',
  )
  t.equal(once.length + untold.length, hexes.length, 'none is reported twice')
  t.comment(`${once.length} of ${hexes.length} reported once, ${untold.length} overtaken`)
}

async function publish({ folder, keys, tools }: Scenario, count: number): Promise<readonly Release[]> {
  const releases: Release[] = []
  for (let at = 0; at < count; at++) {
    const release = await packRelease(folder, `${at}.0.0`, keys)
    await tools.put(release.name, release.file)
    releases.push(release)
  }
  return releases
}

function asking({ tools }: Scenario, release: Release): Readonly<Record<string, string>> {
  return annotationsOf(release, tools.url(release.name))
}

function serves(scenario: Scenario, pod: Pod, release: Release): Promise<true> {
  return until(`${release.answer} from ${pod.name}`, async () =>
    (await body(scenario, pod)) === release.answer ? true : undefined,
  )
}

async function body({ tools }: Scenario, pod: Pod): Promise<string> {
  return (await tools.ask({ host: pod.ip, port: 8080, path: '/' })).body.trim()
}
