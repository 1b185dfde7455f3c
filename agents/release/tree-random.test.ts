// Random edits of a random app, release after release: each is what a whole build of it would be, and so is its standby.
// TREE_CASES says how many, TREE_SEED which.
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { releaseName } from '@aether/contract/layout'
import { test } from 'tap'
import { releasePath } from './activate.ts'
import { keepForStandby, prepareNext } from './background.ts'
import { pruneReleases } from './prune.ts'
import { createWorld, listTree } from './test-kit.ts'
import { type PublishedTree, publishTree } from './test-trees.ts'

const cases = Number(process.env.TREE_CASES || 40)
const seed = Number(process.env.TREE_SEED || 7)
const never = new AbortController().signal

/** mulberry32: from 0 to 1. */
function createRandom(from: number): () => number {
  let state = from
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** One of few names, so that edits meet; folders and files have the same ones. */
function editOnce(app: string, random: () => number): void {
  const below = (count: number) => Math.floor(random() * count)
  const names = Array.from({ length: 1 + below(4) }, () => ['a', 'b', 'ä', 'Z', 'long'.repeat(20)][below(5)] ?? 'a')
  const path = join(app, ...names)
  for (let depth = 1; depth < names.length; depth++) {
    const parent = join(app, ...names.slice(0, depth))
    if (lstatSync(parent, { throwIfNoEntry: false })?.isDirectory() === false) rmSync(parent)
  }
  mkdirSync(dirname(path), { recursive: true })
  const clear = () => rmSync(path, { recursive: true, force: true })
  const kind = below(12)
  if (kind < 5) {
    clear()
    writeFileSync(path, `${below(6)} `.repeat(below(3) === 0 ? below(20_000) : below(40)))
    if (below(3) === 0) chmodSync(path, 0o755)
  } else if (kind < 7) clear()
  else if (kind === 7) {
    clear()
    symlinkSync(['b', './a/../b', 'a/b', 'nowhere'][below(4)] ?? 'b', path)
  } else if (kind === 8) {
    clear()
    mkdirSync(path)
    // Enough names for a branch of chunks.
    for (let n = below(400); n > 0; n--) writeFileSync(join(path, `file-${below(500)}`), `${below(50)}`)
  } else if (kind === 9) {
    const other = join(app, ['a', 'b', 'ä', 'Z'][below(4)] ?? 'a')
    if (!existsSync(other) || path.startsWith(other) || other.startsWith(path)) return
    clear()
    renameSync(other, path)
  } else if (lstatSync(path, { throwIfNoEntry: false })?.isFile()) chmodSync(path, below(2) === 0 ? 0o755 : 0o644)
}

await test(`${cases} releases by random edits (TREE_SEED=${seed}) are what whole builds of them are`, async (t) => {
  const world = await createWorld(t, { maxEntries: 50_000 })
  const { layout } = world
  const [app, store] = [join(t.testdirName, 'app'), join(t.testdirName, 'store')]
  mkdirSync(app)
  mkdirSync(store)
  const random = createRandom(seed)
  let before: PublishedTree | undefined
  let wrong = 0
  for (let n = 0; n < cases; n++) {
    writeFileSync(join(app, 'server.js'), `${n}`)
    for (let edits = Math.floor(random() * 12); edits > 0; edits--) editOnce(app, random)
    const next: PublishedTree = await publishTree(world.routes, app, store, before === undefined ? [] : [before])
    const { source } = await world.take(world.ask(next.digest, next.path))
    await pruneReleases(layout, 2, [], (old, folder) => keepForStandby(layout, old, folder))
    await prepareNext(layout, true, never)
    const wanted = JSON.stringify(listTree(app))
    const isRight =
      source === (before === undefined ? 'full' : 'delta') &&
      JSON.stringify(listTree(releasePath(layout, next.digest))) === wanted &&
      JSON.stringify(listTree(join(layout.standby, releaseName(next.digest)))) === wanted
    if (!isRight && wrong++ === 0) t.fail(`release ${n} came as ${source}, and other than it was built`)
    // The store of a long run would be large.
    for (const file of readdirSync(store)) if (before !== undefined && isOf(before, file)) rmSync(join(store, file))
    before = next
  }
  t.equal(wrong, 0)
  t.strictSame(readdirSync(layout.staging), [])
  t.equal(readdirSync(layout.releases).length, Math.min(2, cases))
})

function isOf({ path }: PublishedTree, file: string): boolean {
  return `/${file}` === path || `/${file}`.startsWith(`${path}.`)
}
