// The port on both engines, call by call. What becomes of it when things go wrong is in embedded.test.ts and postgres.test.ts.
import { type Test, test } from 'tap'
import { openStore } from './open.ts'
import { calls, laterCalls } from './test-calls.ts'
import { deploymentCalls } from './test-deployment-calls.ts'
import { ask, createEmbeddedEngine, createPostgresEngine, type Engine, noPostgres } from './test-engines.ts'
import { retirementCalls } from './test-retirement-calls.ts'
import { treeCalls } from './test-tree-calls.ts'

await test('on PGlite', (t) => holdsOn(t, createEmbeddedEngine()))
await test('on PostgreSQL', noPostgres, async (t) => holdsOn(t, await createPostgresEngine()))

async function holdsOn(t: Test, engine: Engine): Promise<void> {
  t.teardown(engine.remove)
  const store = await openStore(engine.options)
  t.teardown(store.close)
  await store.ping()
  for (const [sentence, holds] of [...calls, ...deploymentCalls, ...laterCalls, ...treeCalls, ...retirementCalls])
    await t.test(sentence, (sub) => holds(sub, store))
  const entry = { actor: 'ada', role: 'admin', action: 'POST /apps', subject: 'x\0y', requestId: 'r1', outcome: 'ok' }
  await store.audit(entry)
  await store.close()

  await t.test('what was written is there when it is opened again, and the audit with it', async (sub) => {
    const again = await openStore(engine.options)
    sub.match(await again.findApp('one'), { name: 'one' })
    await again.close()
    const { connection, stop } = await engine.connect()
    const rows = await ask(connection, 'SELECT actor, role, action, subject, request_id, outcome FROM audit')
    await stop()
    const { requestId, ...rest } = entry
    sub.strictSame(rows, [{ ...rest, subject: 'xy', request_id: requestId }])
  })
}
