// The controller with what it works on: a real database, artifacts in a folder, and the folder that stands for a cluster.
import { existsSync } from 'node:fs'
import { annotations } from '@aether/contract/annotations'
import { eventually } from '@aether/runtime/test-process'
import tap, { test } from 'tap'
import { openStore } from '../store/open.ts'
import { createEmbeddedEngine, errorOf } from '../store/test-engines.ts'
import { createWorld } from '../test-world.ts'

const embedded = createEmbeddedEngine()
const embeddedStore = await openStore(embedded.options)
tap.teardown(async () => {
  await embeddedStore.close()
  await embedded.remove()
})

await test('a deployment goes from its annotations to healthy, fails with the reason of its pod, and recovers', async (t) => {
  const { release, create, hasTarget, report, status, row, services, history, lastEvent } = await createWorld(
    t,
    embeddedStore,
  )
  const [one, two] = [await release(), await release()]
  const { id } = await create(one)
  await eventually('the annotations', () => hasTarget(one))
  await status('syncing')
  await report(one)
  await status('healthy')
  t.match(await row(), { isApplied: true, isTargetWritten: true, desiredStatus: 'active' })

  await services().deployments.change(id, { digest: two }, 'bea')
  await eventually('the annotations', () => hasTarget(two))
  await report(two, one)
  await status('failed', 'unhealthy')
  t.match((await row()).failureMessage, /local: the app ended with exit code 7$/)
  await report(two)
  await status('healthy')
  t.match(await lastEvent(), { action: 'status', status: 'healthy', message: 'recovered' })

  t.comment('back to what served before, and to one that is named')
  await services().deployments.rollback(id, null, 'cyd')
  await eventually('the annotations', () => hasTarget(one))
  await report(one)
  await status('healthy')
  t.equal((await row()).desiredStatus, 'rollback')
  const three = await release()
  await services().deployments.rollback(id, three, 'cyd')
  await eventually('the annotations', () => hasTarget(three))
  t.strictSame(await history(), [
    ['create', 'ada', null, one],
    ['rollout', 'bea', one, two],
    ['rollback', 'cyd', two, one],
    ['rollback', 'cyd', one, three],
  ])
})

await test('what is written into the annotations is a change like any other, and one that cannot be is no end', async (t) => {
  const { release, create, annotate, hasTarget, read, report, status, row, pack, put, history, ...world } =
    await createWorld(t, embeddedStore)
  const [one, two] = [await release(), await release()]
  await create(one)
  await eventually('the annotations', () => hasTarget(one))
  await report(one)
  await status('healthy')
  annotate(two)
  await eventually('URL, signature and commit', () => hasTarget(two))
  await report(two)
  await status('healthy')
  t.strictSame((await history()).at(-1), ['rollout', 'kubectl', one, two])

  t.comment('an artifact that is not there yet, and comes')
  const three = pack()
  annotate(three)
  await status('failed', 'unknown_artifact')
  t.equal((await row()).digest, two)
  t.equal(read()[annotations.digest], three, 'what somebody wrote is left')
  t.equal((await world.askTarget()).digest, two, 'a pod that is born now starts with what there is')
  await put(three)
  await eventually('the rest of it', () => hasTarget(three))
  t.equal((await world.askTarget()).digest, three)
  await report(three)
  await status('healthy')
  t.strictSame((await history()).at(-1), ['rollout', 'kubectl', two, three])

  t.comment('what is no digest, and another app’s')
  annotate('latest')
  await status('failed', 'target')
  const other = await createWorld(t, embeddedStore)
  annotate(await other.release())
  await status('failed', 'foreign_artifact')
  annotate(three)
  await status('healthy')
  t.match(await world.lastEvent(), { message: 'recovered' })
})

await test('pods are told of a change before the Deployment is, and a pass ends when both are', async (t) => {
  const told: string[] = []
  let slow = Promise.resolve()
  const { release, create, hasTarget, services, row } = await createWorld(t, embeddedStore, {
    around: (cluster) => ({
      ...cluster,
      async setTarget(...asked) {
        await slow
        await cluster.setTarget(...asked)
      },
      async annotatePod(_ref, _name, { digest }) {
        told.push(String(digest))
      },
    }),
  })
  const [one, two] = [await release(), await release()]
  const { id } = await create(one)
  await eventually('the annotations', () => hasTarget(one))
  await eventually('it to be applied', async () => (await row()).isApplied)
  told.length = 0
  const { promise, reject } = Promise.withResolvers<void>()
  slow = promise
  await services().deployments.change(id, { digest: two }, 'bea')
  await eventually('the pod to be told', () => told.includes(two))
  t.match(await row(), { isTargetWritten: false }, 'the pass goes on')
  t.notOk(hasTarget(two))
  slow = Promise.resolve()
  reject(new Error('the write was lost'))
  await eventually('the annotations', () => hasTarget(two))
  await eventually('it to be written', async () => (await row()).isTargetWritten)
})

await test('a digest alone is written, and what stands around it applied a while later; a spec that changed is applied at once', async (t) => {
  const calls: string[] = []
  let gone = async () => {}
  const { release, create, report, status, services, row, ref } = await createWorld(t, embeddedStore, {
    around: (cluster) => {
      gone = () => cluster.remove(ref)
      return {
        ...cluster,
        async apply(...asked) {
          calls.push('apply')
          await cluster.apply(...asked)
        },
        async setTarget(...asked) {
          calls.push('target')
          await cluster.setTarget(...asked)
        },
      }
    },
  })
  const [one, two, three, four] = [await release(), await release(), await release(), await release()]
  const { id } = await create(one)
  await report(one)
  await status('healthy')
  t.same(calls.splice(0), ['apply'])
  const { deployments } = services()

  await deployments.change(id, { digest: two }, 'bea')
  await eventually('the target', async () => (await row()).isTargetWritten)
  t.same(calls, ['target'])
  await report(two)
  await status('healthy')
  await eventually('what repairs', () => calls.length === 2)
  t.same(calls.splice(0), ['target', 'apply'])

  await deployments.change(id, { digest: three, env: { COLOUR: 'blue' } }, 'bea')
  await eventually('the spec', async () => (await row()).isApplied)
  t.same(calls.splice(0), ['target', 'apply'])
  await report(three)
  await status('healthy')

  await gone()
  await deployments.change(id, { digest: four }, 'bea')
  await eventually('it to be there again', () => calls.length > 0)
  t.same(calls, ['apply'])
})

await test('what does not serve in time has failed until it does', async (t) => {
  const { release, create, status, report, row, lastEvent, stop, restart } = await createWorld(t, embeddedStore, {
    syncTimeoutMs: 300,
  })
  const one = await release()
  await create(one)
  await status('failed', 'timeout')
  t.match((await row()).failureMessage, /after 0 s: app-\d+-local serves nothing yet/)
  await stop()
  restart()
  await report(one)
  await status('healthy')
  t.match(await lastEvent(), { message: 'recovered' })
})

await test('a stopped deployment leaves nothing, and the next one begins anew', async (t) => {
  const { release, create, hasTarget, services, files, row } = await createWorld(t, embeddedStore)
  const one = await release()
  const { id } = await create(one)
  t.match(await errorOf(create(one)), { code: 'conflict' })
  await eventually('the annotations', () => hasTarget(one))
  await services().deployments.stop(id, 'ada')
  t.notOk(existsSync(files.folder))
  t.match(await errorOf(services().deployments.change(id, { replicas: 2 }, 'ada')), { code: 'conflict' })
  const { id: next } = await create(one)
  t.not(next, id)
  await eventually('the annotations', () => hasTarget(one))
  t.equal((await row()).id, next)
})

await test('a change of replicas that waits while the annotations are changed puts no older digest back', async (t) => {
  const { release, create, annotate, hasTarget, services, row, stop, restart, history, read } = await createWorld(
    t,
    embeddedStore,
  )
  const [one, two] = [await release(), await release()]
  const { id } = await create(one, { env: { GREETING: 'hello' } })
  await eventually('the annotations', () => hasTarget(one))
  await eventually('it to be applied', async () => (await row()).isApplied)
  await stop()
  await services().deployments.change(id, { env: { GREETING: 'again' } }, 'ada')
  annotate(two)
  restart()
  await eventually('it to be applied', async () => (await row()).isApplied)
  await eventually('the annotations', () => hasTarget(two))
  t.match(await row(), { digest: two, env: { GREETING: 'again' } })
  t.strictSame((await history()).at(-1), ['rollout', 'kubectl', one, two])

  t.comment('a digest of the API that waits is written over it')
  await stop()
  await services().deployments.change(id, { digest: one }, 'ada')
  annotate(two)
  restart()
  await eventually('the annotations', () => hasTarget(one))
  t.equal(read()[annotations.digest], one)
})
