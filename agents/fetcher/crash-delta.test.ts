// SIGKILL at every change that the refresh of a tree makes on disk: at the standby, the release, and the next standby, which is
// made of the release that is pruned. As crash-steps.test.ts does it for an archive.
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { annotations } from '@aether/contract/annotations'
import { releaseName } from '@aether/contract/layout'
import type { Target } from '@aether/contract/target'
import { readActivation, readCurrent } from '@aether/release/activate'
import { keepForStandby, mendTrees, prepareNext } from '@aether/release/background'
import { lockVolume } from '@aether/release/lock'
import { pruneReleases } from '@aether/release/prune'
import { recoverVolume } from '@aether/release/recover'
import { createSlices } from '@aether/release/slices'
import { createWorld, listTree, type World } from '@aether/release/test-kit'
import { type PublishedTree, publishTree } from '@aether/release/test-trees'
import { type KillMode, killEnv } from '@aether/runtime/test-kill'
import { startProcess, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import type { OnceInput } from './test-refresh-once.ts'

const worker = fileURLToPath(new URL('test-refresh-once.ts', import.meta.url))
const keep = 2
const never = new AbortController().signal

/** A, which is odd, serves, B comes, Z is pruned and becomes the standby of B. */
const steps = [
  ['the standby is taken', 'rename standby/A -> staging/A-*'],
  ['a folder goes', 'rename staging/A-*/odd -> staging/away-*'],
  ['a folder comes', 'mkdir staging/A-*/even'],
  ['a link comes', 'symlink server.js -> staging/A-*/even/link'],
  ['a file is replaced', 'unlink staging/A-*/server.js'],
  ['a file is written', 'write staging/A-*/server.js'],
  ['a file that only moved is linked', 'link workspace/releases/A/lib/odd.js -> staging/A-*/lib/even.js'],
  ['the completion record has its name', 'rename complete/B.json.*.tmp -> complete/B.json'],
  ['the release has its place', 'rename staging/A-* -> workspace/releases/B'],
  ['activation.json has its name', 'rename workspace/activation.json.*.tmp -> workspace/activation.json'],
  ['current is moved', 'rename workspace/.current-* -> workspace/current'],
  ['the oldest release is out of sight', 'rename workspace/releases/Z -> staging/Z-*'],
  ['the objects of the tree are written', 'rename trees/B.*.tmp -> trees/B'],
  ['a file of the oldest gives way to one of the new', 'link workspace/releases/B/server.js -> staging/Z-*/server.js'],
  ['the next standby has its place', 'rename staging/Z-* -> standby/B'],
] as const
const activated = steps[9][1]
const moved = steps[10][1]

async function createLane(t: Test, name: string, count: number) {
  const root = join(t.testdirName, name)
  const [app, store] = [join(root, 'app'), join(root, 'store')]
  for (const folder of [join(app, 'lib'), store, join(root, 'data')]) mkdirSync(folder, { recursive: true })
  const world = await createWorld(t, {}, join(root, 'data'))
  const whole: Record<string, readonly string[]> = {}
  const targets: { readonly target: Target; readonly tree: PublishedTree }[] = []
  writeFileSync(join(app, 'lib/part.js'), 'of all')
  for (let n = 0; n < count + 3; n++) {
    writeFileSync(join(app, 'server.js'), `${name} ${n}`)
    // What comes with one goes with the next.
    const [comes, goes] = n % 2 === 0 ? ['even', 'odd'] : ['odd', 'even']
    for (const path of [goes, `lib/${goes}.js`]) rmSync(join(app, path), { recursive: true, force: true })
    mkdirSync(join(app, comes))
    symlinkSync('server.js', join(app, comes, 'link'))
    writeFileSync(join(app, `lib/${comes}.js`), 'the same content')
    const before = targets.at(-1)
    const tree = await publishTree(world.routes, app, store, before === undefined ? [] : [before.tree])
    targets.push({ tree, target: world.ask(tree.digest, tree.path) })
    whole[releaseName(tree.digest)] = listTree(app)
  }
  for (const { target } of targets.slice(0, 2)) {
    await world.take(target)
    await prepareNext(world.layout, true, never)
  }
  return { t, world, whole, targets: targets.map(({ target }) => target), at: 1, log: join(root, 'calls') }
}

type Lane = Awaited<ReturnType<typeof createLane>>

/** Runs the next refresh in a child that dies at call `at`; 0 lets it live. Answers the calls it made. */
async function run(lane: Lane, mode: KillMode, at: number) {
  const { world, log, t } = lane
  const [old, from, to] = lane.targets.slice(lane.at - 1, ++lane.at + 1)
  if (old === undefined || from === undefined || to === undefined) throw new Error('the lane has ended')
  const { digest, artifactUrl, signature = '' } = to
  const input: OnceInput = {
    root: world.root,
    publicPem: world.signer.publicPem,
    annotations: {
      [annotations.digest]: digest,
      [annotations.artifactUrl]: artifactUrl,
      [annotations.signature]: signature,
    },
    keep,
  }
  writeFileSync(log, '')
  const env = {
    ...killEnv({ below: world.root, log, like: '', at, mode }),
    NODE_COMPILE_CACHE: join(t.testdirName, 'compiled'),
  }
  const child = startProcess(t, worker, env, [JSON.stringify(input)])
  const ended = await child.exited
  const calls = readFileSync(log, 'utf8')
    .replaceAll(releaseName(old.digest), 'Z')
    .replaceAll(releaseName(from.digest), 'A')
    .replaceAll(releaseName(digest), 'B')
    .trimEnd()
    .split('\n')
  return { ended, calls, from, to, said: child.lines.join('\n') }
}

async function killAt(lane: Lane, mode: KillMode, at: number, all: readonly string[]): Promise<void> {
  const { world, t, whole } = lane
  const { layout } = world
  const idBefore = (await readActivation(layout))?.id ?? 0
  const { ended, calls, from, to, said } = await run(lane, mode, at)
  const what = `${mode} ${at} ${all[at - 1]}`
  t.equal(ended, 'SIGKILL', `${what}: it was killed ${said}`)
  // A sync may go beside the calls that come next.
  t.strictSame(calls.slice(0, at), all.slice(0, at), `${what}: at that call`)
  const has = (call: string) => all.indexOf(call) < (mode === 'after' ? at : at - 1)
  const current = await readCurrent(layout)
  t.equal(current, has(moved) ? to.digest : from.digest, `${what}: current`)
  t.equal((await readActivation(layout))?.id, idBefore + (has(activated) ? 1 : 0), `${what}: the id`)
  const listed = (folder: string) =>
    Object.fromEntries(readdirSync(folder).map((name) => [name, listTree(join(folder, name))]))
  const expected = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, whole[name]]))
  const { releases, standby, staging } = layout
  t.strictSame(listed(releases), expected(readdirSync(releases)), `${what}: each release is whole, the old ones too`)
  t.strictSame(listed(standby), expected(readdirSync(standby)), `${what}: a standby is whole or not there`)

  await finish(world, to)
  t.equal(await readCurrent(layout), to.digest)
  const both = [releaseName(from.digest), releaseName(to.digest)]
  t.strictSame(listed(releases), expected(both.toSorted()), `${what}: the releases on disk are whole`)
  t.strictSame(listed(standby), expected([releaseName(to.digest)]), `${what}: and the next standby is ready`)
  t.strictSame([readdirSync(staging), readdirSync(layout.lock)], [[], []], `${what}: nothing is left over`)
  t.notMatch(listTree(world.root).join('\n'), /\.tmp|\.current-/, `${what}: no temporary name is left`)
}

async function finish({ layout, take }: World, target: Target): Promise<void> {
  const lock = await lockVolume(layout)
  await recoverVolume(layout)
  await take(target)
  await pruneReleases(layout, keep, [], (old, folder) => keepForStandby(layout, old, folder))
  await prepareNext(layout, true, never)
  // Where the kill took the objects with it, they are made of the release again.
  await mendTrees(layout, target.digest, createSlices(Number.POSITIVE_INFINITY, never))
  await prepareNext(layout, true, never)
  await lock.release()
}

await test('the refresh of a tree that is killed at any of its steps leaves whole releases, and the next one finishes', async (t) => {
  testFolder(t)
  const counted = await createLane(t, 'counted', 1)
  const { ended, calls, said } = await run(counted, 'before', 0)
  t.equal(ended, 0, said)
  for (const [what, call] of steps) t.ok(calls.includes(call), `${what}: ${call}`)
  t.comment(calls.join('\n'))
  const places = steps.map(([, call]) => calls.indexOf(call))
  t.strictSame(
    places,
    places.toSorted((a, b) => a - b),
    'the steps come in their order',
  )
  const every = calls.map((_, index) => index + 1)
  const halves = every.filter((at) => calls[at - 1]?.startsWith('write'))
  // Killed behind one call is killed before the next, but for the last.
  const points = [
    ...every.map((at) => ['before', at] as const),
    ...halves.map((at) => ['during', at] as const),
    ['after', every.length] as const,
  ]
  // From an even version to an odd one as the counted one: two steps of the lane for each point.
  const lane = await createLane(t, 'killed', 2 * points.length)
  for (const [mode, at] of points) {
    await killAt(lane, mode, at, calls)
    const next = lane.targets[++lane.at]
    if (next !== undefined) await finish(lane.world, next)
  }
})
