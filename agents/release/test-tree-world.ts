// For tests: a server, a workspace and an app whose trees a store serves; and a pair of releases of it.
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { testFolder } from '@aether/runtime/test-process'
import { type Test } from 'tap'
import { prepareNext } from './background.ts'
import { createWorld, type limits, listTree } from './test-kit.ts'
import { deltaPath, type PublishedTree, publishTree } from './test-trees.ts'

const never = new AbortController().signal

export async function createTrees(t: Test, changes: Partial<typeof limits> = {}, root?: string) {
  const world = await createWorld(t, changes, root)
  if (root !== undefined) testFolder(t)
  const [app, store] = [join(t.testdirName, 'app'), join(t.testdirName, 'store')]
  for (const folder of [join(app, 'lib'), store]) mkdirSync(folder, { recursive: true })
  for (let n = 0; n < 20; n++) writeFileSync(join(app, 'lib', `part-${n}`), randomBytes(200_000))
  writeFileSync(join(app, 'server.js'), 'one')
  symlinkSync('server.js', join(app, 'main'))
  const publish = (...from: PublishedTree[]) => publishTree(world.routes, app, store, from)
  const take = ({ digest, path }: PublishedTree) => world.take(world.ask(digest, path))
  const serve = (suffix: string, bytes: Uint8Array) => world.routes.set(suffix, bytes)
  return { ...world, app, publish, take, serve, prepare: () => prepareNext(world.layout, true, never) }
}

export type Trees = Awaited<ReturnType<typeof createTrees>>

/** One release that serves and the next one, with everything that a store has for it. */
export async function createPair(t: Test, changes: Partial<typeof limits> = {}) {
  const world = await createTrees(t, changes)
  const one = await world.publish()
  await world.take(one)
  await world.prepare()
  writeFileSync(join(world.app, 'server.js'), 'two')
  writeFileSync(join(world.app, 'lib/new'), randomBytes(5000))
  rmSync(join(world.app, 'lib/part-3'))
  const two = await world.publish(one)
  const delta = Buffer.from(readFileSync(join(t.testdirName, 'store', deltaPath(one, two).slice(1))))
  return { ...world, one, two, delta, wanted: listTree(world.app) }
}

export type Pair = Awaited<ReturnType<typeof createPair>>
