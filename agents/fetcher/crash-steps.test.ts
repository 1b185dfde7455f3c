// SIGKILL at every change that a refresh makes on disk: a child is killed before, in the middle of and after its N-th
// call (runtime/test-kill.ts), for each N, while another process reads `current` without pause.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { annotations } from '@aether/contract/annotations'
import { releaseName } from '@aether/contract/layout'
import type { Target } from '@aether/contract/target'
import { readActivation, readCurrent, releasePath } from '@aether/release/activate'
import { lockVolume } from '@aether/release/lock'
import { pruneReleases } from '@aether/release/prune'
import { recoverVolume } from '@aether/release/recover'
import { createWorld, listTree, type World } from '@aether/release/test-kit'
import { endMark, file, packed, symlink } from '@aether/release/test-tar'
import { type KillMode, killEnv } from '@aether/runtime/test-kill'
import { startProcess, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { loadState, saveState } from './state.ts'
import type { OnceInput } from './test-refresh-once.ts'

const worker = fileURLToPath(new URL('test-refresh-once.ts', import.meta.url))
const observer = fileURLToPath(import.meta.resolve('@aether/release/test-worker'))
/** What serves and what served before: each refresh prunes the one before that. */
const keep = 2

/** The numbered steps of release/activate.ts, each by the call that takes it; A serves, B comes, Z is pruned. */
const steps = [
  ['1 the tree is staged', 'write staging/B-*/server.js'],
  ['2 the completion record is synced', 'sync complete/B.json.*.tmp'],
  ['2 the completion record has its name', 'rename complete/B.json.*.tmp -> complete/B.json'],
  ['3 the tree has its place', 'rename staging/B-* -> workspace/releases/B'],
  ['4 the folder of releases is synced', 'sync workspace/releases'],
  ['5 activation.json has its name', 'rename workspace/activation.json.*.tmp -> workspace/activation.json'],
  ['6 the temporary symlink is made', 'symlink releases/B -> workspace/.current-*'],
  ['7 current is moved', 'rename workspace/.current-* -> workspace/current'],
  ['8 the workspace is synced', 'sync workspace'],
  ['9 state.json has its name', 'rename state.json.*.tmp -> state.json'],
  ['10 the oldest release is out of sight', 'rename workspace/releases/Z -> staging/Z-*'],
  ['10 its record is gone', 'rm complete/Z.json'],
  ['10 its files are gone', 'rmdir staging/Z-*'],
] as const
const activated = steps[5][1]
const moved = steps[7][1]

/** A volume where a first release serves, and a chain of releases to come: the end of one refresh begins the next. */
async function createLane(t: Test, name: string, count: number) {
  const root = t.testdirName
  const world = await createWorld(t, {}, join(root, name, 'data'))
  const reference = await createWorld(t, {}, join(root, name, 'reference'))
  const manifest: Record<string, readonly string[]> = {}
  const targets: Target[] = []
  for (let n = 0; n < count + 3; n++) {
    const bytes = packed(
      file('server.js', `${name} ${n}`),
      file('lib/part.js'),
      symlink('main.js', 'server.js'),
      endMark,
    )
    const target = reference.publish(bytes)
    targets.push(world.publish(bytes))
    await reference.take(target)
    manifest[releaseName(target.digest)] = listTree(releasePath(reference.layout, target.digest))
  }
  const [zero, first] = targets
  if (zero === undefined || first === undefined) throw new Error('two targets')
  await world.take(zero)
  await world.take(first)
  return { t, world, manifest, targets, at: 1, log: join(root, name, 'calls') }
}

type Lane = Awaited<ReturnType<typeof createLane>>

/** Runs the next refresh of the lane in a child that dies at call `at`; 0 lets it live. Answers the calls it made. */
async function run(lane: Lane, mode: KillMode, at: number) {
  const { world, log, t } = lane
  const [old, from, to] = lane.targets.slice(lane.at - 1, ++lane.at + 1)
  if (old === undefined || from === undefined || to === undefined) throw new Error('the lane has ended')
  const input: OnceInput = {
    root: world.root,
    publicPem: world.signer.publicPem,
    annotations: {
      [annotations.digest]: to.digest,
      [annotations.artifactUrl]: to.artifactUrl,
      [annotations.signature]: to.signature ?? '',
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
    .replaceAll(releaseName(to.digest), 'B')
    .trimEnd()
    .split('\n')
  return { ended, calls, from, to, said: child.lines.join('\n') }
}

/** One kill, what it left, and the refresh that finishes the job. Answers the row of the table. */
async function killAt(lane: Lane, mode: KillMode, at: number, all: readonly string[]): Promise<string> {
  const { world, t } = lane
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
  const id = (await readActivation(layout))?.id ?? 0
  t.equal(id, idBefore + (has(activated) ? 1 : 0), `${what}: the id grew with step 5 and not before`)

  await finish(world, to)
  t.equal((await readActivation(layout))?.id, id + 1, `${what}: one more activation finishes it`)
  t.equal(await readCurrent(layout), to.digest)
  const whole = (digest: Target['digest']) => [releaseName(digest), lane.manifest[releaseName(digest)]]
  t.strictSame(
    Object.fromEntries(readdirSync(layout.releases).map((name) => [name, listTree(join(layout.releases, name))])),
    Object.fromEntries([whole(from.digest), whole(to.digest)]),
    `${what}: the releases on disk are whole`,
  )
  t.strictSame([readdirSync(layout.staging), readdirSync(layout.lock)], [[], []], `${what}: nothing is left over`)
  t.notMatch(listTree(world.root).join('\n'), /\.tmp|\.current-/, `${what}: no temporary name is left`)
  return `${mode.padEnd(6)} ${String(at).padStart(2)} ${current === to.digest ? 'B' : 'A'}  ${all[at - 1]}`
}

async function finish({ layout, take }: World, target: Target): Promise<void> {
  const lock = await lockVolume(layout)
  await recoverVolume(layout)
  const { activation } = await take(target)
  const { state } = await loadState(layout.state)
  await saveState(layout.state, { ...state, reported: activation.id, lastDigest: activation.digest })
  await pruneReleases(layout, keep, [])
  await lock.release()
}

await test('a refresh that is killed at any of its steps leaves one complete release, and the next one finishes', async (t) => {
  testFolder(t)
  const counted = await createLane(t, 'counted', 1)
  const { ended, calls, said } = await run(counted, 'before', 0)
  t.equal(ended, 0, said)
  t.ok(calls.length < 60, `${calls.length} calls`)
  const places = steps.map(([step, call]) => {
    t.ok(calls.includes(call), `step ${step}: ${call}`)
    return calls.lastIndexOf(call)
  })
  t.strictSame(
    places,
    places.toSorted((a, b) => a - b),
    'the steps come in their order',
  )

  const every = calls.map((_, index) => index + 1)
  const halves = every.filter((at) => calls[at - 1]?.startsWith('write'))
  const points = [
    ...every.map((at) => ['before', at] as const),
    ...halves.map((at) => ['during', at] as const),
    ...every.map((at) => ['after', at] as const),
  ]
  const lane = await createLane(t, 'killed', points.length)
  const input = JSON.stringify({ root: lane.world.root, manifest: lane.manifest })
  const watching = startProcess(t, observer, {}, ['observe', input])
  await watching.line('ready')
  const table: string[] = []
  for (const [mode, at] of points) table.push(await killAt(lane, mode, at, calls))
  watching.kill('SIGTERM')
  const { seen, faults } = JSON.parse(await watching.line('{"seen"'))
  t.strictSame(faults, [], 'whoever read current found a complete release each time')
  t.ok(Object.keys(seen).length > points.length / 2, `${Object.keys(seen).length} releases were seen`)
  for (const row of table) t.comment(row)
})
