import { mkdirSync, readdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { annotations } from '@aether/contract/annotations'
import { releaseName } from '@aether/contract/layout'
import type { Target } from '@aether/contract/target'
import { startProcess, type TestProcess, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { activate, findRelease, readActivation, readCurrent, recordPath, releasePath } from './activate.ts'
import { lockVolume } from './lock.ts'
import { recoverVolume } from './recover.ts'
import { createWorld, listTree, reasonOf, type World } from './test-kit.ts'
import { endMark, file, packed, release } from './test-tar.ts'
import type { WorkerInput } from './test-worker.ts'

const workerPath = new URL('./test-worker.ts', import.meta.url).pathname

/** A worker that has said its first line. */
async function startWorker(t: Test, job: string, input: Partial<WorkerInput>) {
  const worker = startProcess(t, workerPath, {}, [job, JSON.stringify(input)])
  await worker.line('ready')
  return worker
}

async function end(worker: TestProcess, signal: NodeJS.Signals): Promise<void> {
  worker.kill(signal)
  await worker.exited
}

/** Some releases, published, and what each is when whole (seen on a volume of its own). */
async function plantReleases(t: Test, world: World, count: number) {
  const reference = await createWorld(t, {}, join(world.root, 'reference'))
  const targets: Target[] = []
  const manifest: Record<string, string[]> = {}
  for (let n = 0; n < count; n++) {
    const files = Array.from({ length: 60 }, (_, i) => file(`lib/${i % 12}/file-${i}.js`, `${n}-${i} `.repeat(i * 20)))
    const bytes = packed(file('server.js', `release ${n}`), ...files, endMark)
    const { digest } = await reference.take(reference.publish(bytes)).then((refreshed) => refreshed.activation)
    targets.push(world.publish(bytes))
    manifest[releaseName(digest)] = listTree(releasePath(reference.layout, digest))
  }
  return { targets, manifest }
}

function annotationsOf(target: Target): Record<string, string> {
  const { digest, artifactUrl, signature = '' } = target
  return {
    [annotations.digest]: digest,
    [annotations.artifactUrl]: artifactUrl,
    [annotations.signature]: signature,
  }
}

await test('whoever reads current during 50 activations finds one whole release each time', async (t) => {
  const world = await createWorld(t)
  const { targets, manifest } = await plantReleases(t, world, 5)
  const [first] = targets
  if (first !== undefined) await world.take(first)
  const observer = await startWorker(t, 'observe', { root: world.root, manifest })
  for (let n = 1; n <= 50; n++) {
    const target = targets[n % targets.length]
    if (target !== undefined) await world.take(target)
  }
  observer.kill('SIGTERM')
  const { seen, faults } = JSON.parse(await observer.line('{"seen"'))
  t.strictSame(faults, [])
  t.ok(Object.keys(seen).length > 1, `seen: ${JSON.stringify(seen)}`)
  t.match(await readActivation(world.layout), { id: 51 })
})

await test('after kill -9 at twenty random moments current is a whole release, and the next refresh finishes', async (t) => {
  const world = await createWorld(t)
  const { targets, manifest } = await plantReleases(t, world, 4)
  const input = { root: world.root, publicPem: world.signer.publicPem, targets: targets.map(annotationsOf) }
  const { layout } = world
  const lastIds: number[] = []
  const leftovers = new Set<string>()
  for (let n = 0; n < 20; n++) {
    const worker = await startWorker(t, 'churn', input)
    await sleep(Math.random() * 400)
    await end(worker, 'SIGKILL')
    const digest = await readCurrent(layout)
    if (digest !== null) {
      const found = realpathSync(join(layout.workspace, 'current'))
      t.strictSame(listTree(found), manifest[basename(found)], `whole after kill ${n}`)
    }
    if (readdirSync(layout.staging).length > 0) leftovers.add('staging')
    const lock = await lockVolume(layout)
    await recoverVolume(layout)
    await lock.release()
    t.strictSame(readdirSync(layout.staging), [], 'nothing is left in staging')
    t.notOk(
      listTree(layout.workspace).some((path) => /\.tmp|\.current-/.test(path)),
      'no temporary name is left',
    )
    for (const name of readdirSync(layout.releases))
      t.strictSame(listTree(join(layout.releases, name)), manifest[name], 'each release on disk is whole')
    lastIds.push((await readActivation(layout))?.id ?? 0)
  }
  t.strictSame(
    lastIds,
    lastIds.toSorted((a, b) => a - b),
    'ids never go back',
  )
  t.comment(`activations: ${lastIds.at(-1)}; a kill left behind: ${[...leftovers].join(', ') || 'nothing'}`)
  const target = world.publish(release('the end'))
  t.equal((await world.take(target)).activation.id, (lastIds.at(-1) ?? 0) + 1)
  t.equal(await readCurrent(layout), target.digest)
})

await test('what a crash leaves is cleaned, and a release without its record is not trusted', async (t) => {
  const world = await createWorld(t)
  const { layout } = world
  const serving = world.publish(release('serving'))
  const other = world.publish(release('other'))
  await world.take(other)
  await world.take(serving)
  const clean = listTree(world.root)

  mkdirSync(join(layout.staging, 'half/of/a/tree'), { recursive: true })
  writeFileSync(join(layout.staging, 'half/file'), 'half')
  symlinkSync('releases/gone', join(layout.workspace, '.current-1234'))
  for (const folder of [layout.root, layout.workspace, layout.complete])
    writeFileSync(join(folder, 'x.json.1.tmp'), '{')
  const unrecorded = world.publish(release('unrecorded'))
  mkdirSync(releasePath(layout, unrecorded.digest))
  writeFileSync(join(releasePath(layout, unrecorded.digest), 'server.js'), 'not all of it')
  const unmoved = world.publish(release('unmoved'))
  writeFileSync(recordPath(layout, unmoved.digest), '{}')
  mkdirSync(join(layout.releases, 'no-release-at-all'))
  t.equal(await findRelease(layout, unrecorded.digest), undefined)
  t.equal(await findRelease(layout, unmoved.digest), undefined)

  await recoverVolume(layout)
  t.strictSame(listTree(world.root), clean)
  await recoverVolume(layout)
  t.strictSame(listTree(world.root), clean, 'twice is as once')

  mkdirSync(releasePath(layout, unrecorded.digest))
  const refreshed = await world.take(unrecorded)
  t.equal(refreshed.reused, false, 'a folder that appears later is not trusted either')
  t.match(listTree(releasePath(layout, unrecorded.digest)), [/^lib/, /part/, /server/])
})

await test('an activation record that cannot be read, or a current that is no link of ours, does not stop a refresh', async (t) => {
  const world = await createWorld(t)
  const target = world.publish(release('one'))
  await world.take(target)
  writeFileSync(join(world.layout.workspace, 'activation.json'), '{"id":')
  const found = await findRelease(world.layout, target.digest)
  if (found !== undefined)
    t.match(await activate(found, world.layout, null, () => new Date(0)), { at: '1970-01-01T00:00:00.000Z' })
  t.match(await readActivation(world.layout), { digest: target.digest })
})

await test('the volume has one holder, and is free at once when that one is killed', async (t) => {
  const root = testFolder(t)
  const holder = await startWorker(t, 'hold', { root })
  t.strictSame(holder.lines, ['ready'])
  const world = await createWorld(t, {}, root)
  const error = await reasonOf(lockVolume(world.layout))
  t.match(error, { reason: 'busy', detail: 'locked', message: /two fetchers cannot share/ })
  await end(holder, 'SIGKILL')
  const mine = await lockVolume(world.layout)
  t.strictSame((await startWorker(t, 'hold', { root })).lines, ['ready but busy'])
  await mine.release()
  const again = await lockVolume(world.layout)
  await again.release()
})

await test('of many that come at once after a killed holder, no two hold the volume', async (t) => {
  for (let round = 0; round < 3; round++) {
    const root = testFolder(t)
    await end(await startWorker(t, 'hold', { root }), 'SIGKILL')
    const all = await Promise.all(Array.from({ length: 6 }, () => startWorker(t, 'hold', { root })))
    const held = all.filter(({ lines }) => lines[0] === 'ready')
    t.ok(held.length <= 1, `${held.length} hold it`)
    await Promise.all(held.map((worker) => end(worker, 'SIGKILL')))
  }
})
