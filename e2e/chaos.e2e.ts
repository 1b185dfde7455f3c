// Servers and archives that lie, break off or attack, one after the other under a live pod: it stays Ready, no container
// restarts, and whoever asks through the Service gets every answer.
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { digestFile } from '@aether/artifact/pack'
import { signDigest } from '@aether/artifact/sign'
import { hexOf } from '@aether/contract/digest'
import type { Marker } from '@aether/contract/markers'
import type { Reason } from '@aether/contract/reasons'
import { execa } from 'execa'
import { annotatePods, deployHello } from './kit/deploy.ts'
import { awaitMarker, listPods, readMarkers, readyPods } from './kit/pods.ts'
import { annotationsOf, packRelease, type Release } from './kit/releases.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import type { Fault } from './kit/tools/protocol.ts'

interface Case {
  readonly name: string
  readonly reason: Reason
  readonly bytes: Buffer
  readonly fault?: Fault
  readonly url?: string
  readonly forged?: boolean
}

const watchedMs = 45_000

await runScenario('chaos of servers and archives', async (t, scenario) => {
  const { folder, keys, namespace, tools } = scenario
  const [v1, v2] = await Promise.all(['1.0.0', '2.0.0'].map((version) => packRelease(folder, version, keys)))
  if (v1 === undefined || v2 === undefined) throw new Error('two releases were packed')
  for (const release of [v1, v2]) await tools.put(release.name, release.file)
  await deployHello(scenario, { mode: 'watch', replicas: 1, annotations: annotationsOf(v1, tools.url(v1.name)) })
  const [before] = await readyPods(scenario, 1)
  if (before === undefined) throw new Error('one pod was asked for')
  const readySince = await lastReadyChange(scenario)

  const watched = tools.measure({
    targets: [{ host: `hello.${namespace}.svc`, port: 80, path: '/' }],
    expected: '(none answers this)',
    change: { kind: 'annotations', pods: [], annotations: {} },
    everyMs: 20,
    quietMs: 0,
    warmMs: 0,
    settleMs: 0,
    limitMs: watchedMs,
  })
  for (const one of await cases(folder)) {
    const release = await publish(scenario, one)
    const from = (await readMarkers(scenario, before.name)).length
    const wanted = annotationsOf(release, one.url ?? tools.url(release.name))
    await annotatePods(scenario, { ...wanted, ...(one.forged ? { 'aether.dev/signature': '0'.repeat(128) } : {}) })
    // The case before it may be tried again meanwhile.
    const isOfThis = (said: Marker) => said.kind === 'fail' && said.pairs.digest === hexOf(release.digest)
    const marker = await awaitMarker(scenario, before.name, from, one.name, isOfThis)
    t.match(marker, { reason: one.reason }, `${one.name}: ${one.reason}`)
  }
  const [service] = (await watched).targets
  const failed = Object.entries(service?.failed ?? {}).filter(([, count]) => count > 0)
  t.same(failed, [], `of ${service?.requests} requests through the Service`)
  t.ok((service?.requests ?? 0) > 500, 'it was asked all the while')

  const [after] = await readyPods(scenario, 1)
  t.equal(after?.identity, before.identity, 'the same pod, and no container was restarted')
  t.equal(await lastReadyChange(scenario), readySince, 'Ready all the while')
  const from = (await readMarkers(scenario, before.name)).length
  await annotatePods(scenario, annotationsOf(v2, tools.url(v2.name)))
  await awaitMarker(scenario, before.name, from, 'REFRESH_OK', ({ kind }) => kind === 'ok')
})

async function cases(folder: string): Promise<readonly Case[]> {
  const hostile = join(folder, 'hostile', 'inner')
  await mkdir(hostile, { recursive: true })
  await writeFile(join(folder, 'hostile', 'outside'), 'x')
  const escaping = await execa('tar', ['-czPf', '-', '../outside'], { cwd: hostile, encoding: 'buffer' })
  const random = randomBytes(20_000)
  return [
    { name: 'a server error', reason: 'download', bytes: random, fault: { status: 500 } },
    { name: 'no right', reason: 'download', bytes: random, fault: { status: 403 } },
    { name: 'too many requests', reason: 'download', bytes: random, fault: { status: 429 } },
    { name: 'an answer that breaks off', reason: 'download', bytes: random, fault: { truncateAt: 1000 } },
    { name: 'a host that does not exist', reason: 'download', bytes: random, url: 'http://nowhere.invalid/a.tar.gz' },
    {
      name: "the pod's own loopback, which is not asked",
      reason: 'download',
      bytes: random,
      url: 'http://127.0.0.1:9/a.tar.gz',
    },
    { name: 'no gzip', reason: 'extract', bytes: random },
    { name: 'gzip of no archive', reason: 'extract', bytes: gzipSync(random) },
    { name: 'gzip that is cut', reason: 'extract', bytes: gzipSync(random).subarray(0, 5000) },
    { name: 'a path that escapes', reason: 'extract', bytes: Buffer.from(escaping.stdout) },
    { name: 'a signature that is forged', reason: 'signature', bytes: random, forged: true },
  ]
}

/** Published and signed as it is: what is wrong with it is not the signature. */
async function publish({ folder, keys, tools }: Scenario, { name, bytes, fault }: Case): Promise<Release> {
  const file = join(folder, `${name.replaceAll(' ', '-')}.tar.gz`)
  await writeFile(file, bytes)
  const { digest } = await digestFile(file)
  const artifact = `${name.replaceAll(' ', '-')}.tar.gz`
  await tools.put(artifact, file)
  if (fault !== undefined) await tools.setFault(artifact, fault)
  return { answer: '', name: artifact, file, digest, signature: signDigest(digest, keys.privateKey) }
}

async function lastReadyChange(scenario: Scenario): Promise<string | undefined> {
  const [pod] = await listPods(scenario)
  const ready = pod?.status?.conditions?.find(({ type }) => type === 'Ready')
  return ready?.lastTransitionTime?.toISOString()
}
