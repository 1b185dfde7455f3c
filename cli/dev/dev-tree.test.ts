// What `aether dev` keeps of a folder between saves: the same tree as all of it gives, whatever was passed over on the way.
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildTree } from '@aether/artifact/tree-build'
import { readSource } from '@aether/artifact/tree-source'
import { type Test, test } from 'tap'
import { createDevTree } from './dev-tree.ts'

const modules = 'node_modules'

async function makeTree(t: Test) {
  const root = t.testdir({
    app: {
      'package.json': '{"name":"shop","dependencies":{"x":"1"}}',
      'server.js': 'one',
      node_modules: {
        '.package-lock.json': '{}',
        x: { 'package.json': '{}', 'index.js': 'one' },
        y: { 'a.js': 'one' },
      },
      packages: { part: { 'index.js': 'one', node_modules: { z: { 'index.js': 'one' } } } },
    },
    work: {},
  })
  const [folder, work] = [join(root, 'app'), join(root, 'work')]
  const { signal } = new AbortController()
  const tree = await createDevTree(folder, work, { env: {}, signal, install: false, allowScripts: false, warn: t.fail })
  // Until then each look compares them, since the kernel's clock goes in steps.
  await sleep(50)
  const first = await tree.sync(true)
  t.equal(first.changed.length, 8)
  t.notOk(tree.owesLook())
  await tree.build()
  return {
    ...tree,
    folder,
    /** What a look takes, and whether the tree is that of the copy then. */
    async take(isWhole: boolean) {
      const { changed } = await tree.sync(isWhole)
      t.equal((await tree.build()).digest, (await buildTree(readSource(tree.path))).digest)
      return changed.toSorted()
    },
    isLikeFolder: async () => (await tree.build()).digest === (await buildTree(readSource(folder))).digest,
  }
}

await test('a save is taken without a look into modules that are taken as they are, and what changed there by the next whole one', async (t) => {
  const { folder, take, owesLook, isLikeFolder } = await makeTree(t)
  writeFileSync(join(folder, 'server.js'), 'two')
  writeFileSync(join(folder, modules, 'x/index.js'), 'two')
  rmSync(join(folder, modules, 'y'), { recursive: true })
  mkdirSync(join(folder, modules, 'new'))
  writeFileSync(join(folder, modules, 'new/index.js'), 'new')
  writeFileSync(join(folder, 'packages/part', modules, 'z/index.js'), 'two')
  writeFileSync(join(folder, 'packages/part/index.js'), 'two')
  t.strictSame(await take(false), ['packages/part/index.js', 'server.js'])
  t.ok(owesLook())
  t.notOk(await isLikeFolder())
  const below = [`${modules}/new/index.js`, `${modules}/x/index.js`, `${modules}/y/a.js`]
  t.strictSame(await take(true), [...below, `packages/part/${modules}/z/index.js`])
  t.notOk(owesLook())
  t.ok(await isLikeFolder())
  t.strictSame(await take(true), [])
})

await test('what was written in the last moment may be half a save, and is told as that until it has rested', async (t) => {
  const { folder, sync } = await makeTree(t)
  // On a machine that does other things meanwhile, a look can come too late.
  for (let tries = 1, isSettled = true; isSettled && t.passing(); tries += 1) {
    writeFileSync(join(folder, 'server.js'), '')
    isSettled = (await sync(false)).isSettled
    t.ok(tries < 100)
  }
  await sleep(50)
  writeFileSync(join(folder, modules, 'x/index.js'), 'two')
  t.match(await sync(false), { changed: [], isSettled: true }, 'modules that are passed over keep nobody waiting')
})

await test('modules that npm or pnpm says that it wrote, that are new or that are gone are taken with the save', async (t) => {
  const { folder, take, owesLook, isLikeFolder } = await makeTree(t)
  for (const [mark, text] of [
    ['.package-lock.json', '{ }'],
    ['.modules.yaml', 'layoutVersion: 5'],
  ] as const) {
    writeFileSync(join(folder, modules, 'x/index.js'), mark)
    writeFileSync(join(folder, modules, mark), text)
    t.strictSame(await take(false), [`${modules}/${mark}`, `${modules}/x/index.js`])
    t.notOk(owesLook())
  }
  mkdirSync(join(folder, 'late', modules), { recursive: true })
  writeFileSync(join(folder, 'late', modules, 'index.js'), 'one')
  t.strictSame(await take(false), [`late/${modules}/index.js`])
  renameSync(join(folder, 'packages'), join(folder, 'parts'))
  const moved = ['packages', 'parts'].flatMap((name) => [`${name}/part/index.js`, `${name}/part/${modules}/z/index.js`])
  t.strictSame(await take(false), moved.toSorted())
  rmSync(join(folder, 'late'), { recursive: true })
  t.strictSame(await take(false), [`late/${modules}/index.js`])
  t.ok(await isLikeFolder())
})
