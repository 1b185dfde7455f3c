// What goes wrong around the controller: a table that is locked by others, a stop in the middle of a pass, a database that is away.
import { existsSync } from 'node:fs'
import { eventually } from '@aether/runtime/test-process'
import { test } from 'tap'
import { openStore } from '../store/open.ts'
import { ask, createPostgresEngine, errorOf, holdTable, noPostgres } from '../store/test-engines.ts'
import { createWorld } from '../test-world.ts'

await test('a controller on PostgreSQL', noPostgres, async (t) => {
  const { postgres, options, remove } = await createPostgresEngine()
  t.teardown(remove)
  const store = await openStore(options)
  t.teardown(store.close)

  await t.test('what is written while the change before it is taken up is not lost', async (sub) => {
    const { release, create, annotate, hasTarget, status, report, row, history } = await createWorld(sub, store)
    const [one, two, three] = [await release(), await release(), await release()]
    await create(one)
    await eventually('the annotations', () => hasTarget(one))
    await report(one)
    await status('healthy')
    const lock = await holdTable(postgres.url, 'deployment_events')
    annotate(two)
    await eventually('the pass to wait', () => isWaiting(postgres.url))
    annotate(three)
    await lock.release()
    await eventually('the last one', () => hasTarget(three))
    await eventually('its row', async () => (await row()).digest === three)
    sub.strictSame((await history()).slice(1), [
      ['rollout', 'kubectl', one, two],
      ['rollout', 'kubectl', two, three],
    ])
  })

  await t.test('a pass that is under way makes nothing again that was stopped', async (sub) => {
    const { release, create, hasTarget, services, files, row } = await createWorld(sub, store)
    const one = await release()
    const { id } = await create(one)
    await eventually('the annotations', () => hasTarget(one))
    await eventually('it to be applied', async () => (await row()).isApplied)
    const lock = await holdTable(postgres.url, 'artifacts')
    await services().deployments.change(id, { env: { A: '1' } }, 'ada')
    await eventually('the pass to wait', () => isWaiting(postgres.url))
    const stopped = services().deployments.stop(id, 'ada')
    // Long enough for one that does not wait for the pass.
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 200))])
    await lock.release()
    await stopped
    await Promise.all(Array.from({ length: 8 }, () => store.ping()))
    sub.equal(await store.findLive('default', files.folder.split('/').at(-1) ?? ''), undefined)
    sub.notOk(existsSync(files.folder))
  })

  await t.test('a database that is away for a while is caught up with', async (sub) => {
    const { release, create, annotate, hasTarget, services, status, report, row, history } = await createWorld(
      sub,
      store,
    )
    const [one, two] = [await release(), await release()]
    const { id } = await create(one)
    await eventually('the annotations', () => hasTarget(one))
    await report(one)
    await status('healthy')
    await postgres.stop()
    annotate(two)
    sub.match(await errorOf(services().deployments.change(id, { replicas: 3 }, 'ada')), {
      code: 'database_unavailable',
    })
    sub.match(await errorOf(report(two)), { code: 'database_unavailable' })
    await postgres.start()
    await eventually('URL, signature and commit', () => hasTarget(two))
    await report(two)
    await status('healthy')
    sub.equal((await row()).replicas, 1)
    sub.strictSame((await history()).slice(1), [['rollout', 'kubectl', one, two]])
  })
})

/** Somebody waits for a lock. */
async function isWaiting(url: string): Promise<boolean> {
  const sql = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'aether-control' AND wait_event_type = 'Lock'"
  return (await ask({ connectionString: url }, sql)).length > 0
}
