// What becomes of the embedded database when its process is killed, it is opened twice, or its engine stops.
import { mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually, startProcess, testFolder } from '@aether/runtime/test-process'
import { test } from 'tap'
import { createDatabase } from './database.ts'
import { startEmbedded } from './embedded.ts'
import { openStore } from './open.ts'
import { createEmbeddedEngine, errorOf } from './test-engines.ts'

const writer = join(import.meta.dirname, 'test-writer.ts')

await test('on PGlite', async (t) => {
  const engine = createEmbeddedEngine()
  t.teardown(engine.remove)
  const { dataFolder } = engine.options
  const database = join(dataFolder, 'database')

  await t.test('a database that was killed in the making is made again', async (sub) => {
    const half = join(database, 'data.new')
    mkdirSync(half, { recursive: true })
    writeFileSync(join(half, 'PG_VERSION'), '18\n')
    const store = await openStore(engine.options)
    await Promise.all([store.close(), store.close()])
    sub.match(await errorOf(store.ping()), { code: 'database_unavailable' })
    sub.equal(statSync(database).mode & 0o777, 0o700, 'nobody else reaches its socket')
    sub.strictSame(readdirSync(database).toSorted(), ['data', 'lock', 'socket'])
  })

  await t.test('what was acknowledged survives kill -9, and a second opener is refused until then', async (sub) => {
    const killed = startProcess(sub, writer, {}, ['', dataFolder, 'killed'])
    await killed.line('made killed')
    const error = await errorOf(openStore(engine.options))
    sub.match(error, { code: 'storage_unavailable', message: `another process works on ${database}` })
    killed.kill('SIGKILL')
    await killed.exited
    const next = startProcess(sub, writer, {}, ['', dataFolder, 'ended'])
    await next.line('made ended')
    next.kill('SIGTERM')
    sub.equal(await next.exited, 0, 'one that is closed ends by itself')
  })

  await t.test('an engine that stops is started again, with all that was written', async (sub) => {
    const { connection, stop } = await startEmbedded(dataFolder)
    const pool = createDatabase(connection)
    sub.teardown(async () => {
      await pool.close()
      await stop()
    })
    const names = () => pool.read('SELECT name FROM applications ORDER BY name')
    const written = [{ name: 'ended' }, { name: 'killed' }]
    sub.strictSame(await names(), written)
    // As when the volume goes away: PostgreSQL stops by a PANIC rather than to go on without its log.
    renameSync(join(database, 'data/pg_wal'), join(database, 'away'))
    const log = async () => {
      for (const sql of ['CREATE TABLE scratch ()', 'SELECT pg_switch_wal()', 'CHECKPOINT']) await pool.write(sql)
    }
    sub.match(await errorOf(log()), { code: 'database_unavailable' })
    renameSync(join(database, 'away'), join(database, 'data/pg_wal'))
    await eventually('the engine to answer', async () => (await names()).length > 0)
    sub.strictSame(await names(), written)
  })

  await t.test('a folder that cannot be written is named', async (sub) => {
    const file = join(testFolder(sub, { file: '' }), 'file')
    const error = await errorOf(openStore({ databaseUrl: undefined, dataFolder: file }))
    sub.match(error, { code: 'storage_unavailable', message: file })
  })
})
