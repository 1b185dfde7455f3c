// One line of a real app with its node_modules is changed: as a tree, of which what changed comes, and as an archive. Nothing is
// asserted about time: the table is the result.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packFolder } from '@aether/artifact/pack'
import { signDigest } from '@aether/artifact/sign'
import { readSource } from '@aether/artifact/tree-source'
import { loadTree, writeTree } from '@aether/artifact/tree-store'
import { hexOf } from '@aether/contract/digest'
import type { Test } from 'tap'
import { copyAppWithPackages } from './kit/app-packages.ts'
import { loadConfig } from './kit/config.ts'
import { deployHello } from './kit/deploy.ts'
import { measureRefresh } from './kit/measure-refresh.ts'
import { awaitMarker, readMarkers, readyPods } from './kit/pods.ts'
import { annotationsOf, type Release } from './kit/releases.ts'
import { median, type Row, reportRows } from './kit/report.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import type { Measured } from './kit/tools/protocol.ts'

const { latencyRefreshes: changes } = loadConfig()
const fastify = fileURLToPath(new URL('../examples/fastify', import.meta.url))
/** A line of package.json, and the folder objects on the way to it. */
const mostDeltaBytes = 8 * 1024

await runScenario(
  'a tree moves what changed',
  async (t, scenario) => {
    const rows = [await measureSeries(t, scenario, 'tree'), await measureSeries(t, scenario, 'archive')]
    const title = `one line of Fastify with its node_modules: PATCH -> first new answer, ${changes} changes of 1 pod`
    reportRows(t, scenario, title, rows)
  },
  120_000 + 4 * changes * 20_000,
)

type Kind = 'tree' | 'archive'

async function measureSeries(t: Test, scenario: Scenario, kind: Kind): Promise<Row> {
  const publish = await createPublisher(scenario, kind)
  const first = await publish(`0.0.0-${kind}`)
  const annotations = annotationsOf(first, scenario.tools.url(first.name))
  await deployHello(scenario, { mode: 'watch', replicas: 1, annotations })
  await readyPods(scenario, 1)
  const measured: Measured[] = []
  const reported: { readonly ms: number; readonly fetchMs: number; readonly bytes: number }[] = []
  for (let n = 1; n <= changes; n++) {
    const release = await publish(`${n}.0.0-${kind}`)
    const [pod] = await readyPods(scenario, 1)
    if (pod === undefined) throw new Error('one pod was asked for')
    const from = (await readMarkers(scenario, pod.name)).length
    measured.push(await measureRefresh(scenario, pod, release))
    const ok = await awaitMarker(scenario, pod.name, from, 'REFRESH_OK', ({ kind: one }) => one === 'ok')
    const source = kind === 'tree' ? 'delta' : 'archive'
    t.match(ok, { digest: hexOf(release.digest), pairs: { source, reused: 'false' } }, `${release.answer} is reported`)
    const [after] = await readyPods(scenario, 1)
    t.equal(after?.identity, pod.identity, 'the same pod, and no container was started again')
    if (ok.kind === 'ok')
      reported.push({ ms: ok.ms, fetchMs: Number(ok.pairs.fetch_ms), bytes: Number(ok.pairs.bytes) })
  }
  const bytes = reported.map((one) => one.bytes)
  if (kind === 'tree') t.ok(Math.max(...bytes) <= mostDeltaBytes, `${Math.max(...bytes)} bytes at most for a line`)
  const targets = measured.flatMap((one) => one.targets)
  const arrived = targets.flatMap(({ firstNewMs }) => firstNewMs ?? [])
  t.equal(arrived.length, changes, `${kind}: all ${changes} arrived`)
  const failed = targets.flatMap((target) => Object.values(target.failed)).reduce((sum, count) => sum + count, 0)
  t.equal(failed, 0, `${kind}: no request failed`)
  return {
    kind,
    p50_ms: Math.round(median(arrived)),
    max_ms: Math.round(Math.max(...arrived)),
    min_ms: Math.round(Math.min(...arrived)),
    refresh_ok_p50_ms: median(reported.map(({ ms }) => ms)),
    fetch_p50_ms: median(reported.map(({ fetchMs }) => fetchMs)),
    bytes_p50: median(bytes),
    requests: targets.reduce((sum, target) => sum + target.requests, 0),
    failed,
  }
}

/** Each version differs from the one before it by one line, as a developer would publish it. */
async function createPublisher(
  { folder, keys, tools }: Scenario,
  kind: Kind,
): Promise<(version: string) => Promise<Release>> {
  const [app, store] = [join(folder, `app-${kind}`), join(folder, `store-${kind}`)]
  await mkdir(app)
  await mkdir(store)
  await copyAppWithPackages(fastify, app)
  let before: string | undefined

  async function pack(name: string) {
    const file = join(store, name)
    if (kind === 'archive') return (await packFolder(app, file)).digest
    const old = before === undefined ? [] : [await loadTree(before)]
    const { digest } = await writeTree(readSource(app), file, old)
    before = file
    return digest
  }
  return async (version) => {
    const path = join(app, 'package.json')
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace(/"version": "[^"]*"/, `"version": "${version}"`))
    const name = `fastify-${version}`
    const digest = await pack(name)
    for (const part of await readdir(store))
      if (part === name || part.startsWith(`${name}.`)) await tools.put(part, join(store, part))
    const signature = signDigest(digest, keys.privateKey)
    return { answer: `hello from ${version}`, name, file: join(store, name), digest, signature }
  }
}
