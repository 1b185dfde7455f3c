// What becomes of the store when PostgreSQL restarts, hangs or is not there, and of its migrations.
import { readdirSync, renameSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { eventually, startProcess, testFolder } from '@aether/runtime/test-process'
import { test } from 'tap'
import { migrate, migrationsFolder } from './migrate.ts'
import { openStore } from './open.ts'
import { ask, createPostgresEngine, errorOf, holdTable, noPostgres } from './test-engines.ts'

const writer = join(import.meta.dirname, 'test-writer.ts')
const names = readdirSync(migrationsFolder).toSorted()

await test('on PostgreSQL', noPostgres, async (t) => {
  const engine = await createPostgresEngine()
  t.teardown(engine.remove)
  const { postgres, options } = engine
  const databaseOf = (name: string) => postgres.url.replace(/postgres$/, name)

  await t.test('processes that start together migrate once, each waiting for the first', async (sub) => {
    await ask({ connectionString: postgres.url }, 'CREATE DATABASE together')
    const all = ['a', 'b', 'c', 'd'].map((app) => startProcess(sub, writer, {}, [databaseOf('together'), '', app]))
    await Promise.all(all.map((process) => process.line('made ')))
    const rows = await ask({ connectionString: databaseOf('together') }, 'SELECT name FROM migrations ORDER BY name')
    sub.strictSame(
      rows,
      names.map((name) => ({ name })),
    )
  })

  await t.test('a migration is whole or not at all, and never changes once it is applied', async (sub) => {
    await ask({ connectionString: postgres.url }, 'CREATE DATABASE migrated')
    const connection = { connectionString: databaseOf('migrated') }
    const folder = testFolder(sub, { '001_a.sql': 'CREATE TABLE a (n int)', 'notes.txt': 'not one' })
    const put = (name: string, sql: string) => writeFileSync(join(folder, name), sql)
    await migrate(connection, folder)
    put('003_c.sql', 'CREATE TABLE c (n int); SELECT nothing()')
    const failed = { code: 'internal', message: /003_c\.sql failed.*nothing.*nothing of it was kept/ }
    sub.match(await errorOf(migrate(connection, folder)), failed)
    sub.strictSame(await ask(connection, "SELECT to_regclass('c') AS c"), [{ c: null }])
    put('003_c.sql', 'CREATE TABLE c (n int)')
    await migrate(connection, folder)
    await migrate(connection, folder)
    sub.strictSame(await ask(connection, 'SELECT name FROM migrations ORDER BY name'), [
      { name: '001_a.sql' },
      { name: '003_c.sql' },
    ])
    put('002_b.sql', 'SELECT 1')
    sub.match(await errorOf(migrate(connection, folder)), { message: /002_b\.sql stands before 003_c\.sql/ })
    put('002_b.sql', '')
    renameSync(join(folder, '002_b.sql'), join(folder, '004_b.sql'))
    put('001_a.sql', 'CREATE TABLE a (n bigint)')
    sub.match(await errorOf(migrate(connection, folder)), { message: /001_a\.sql was changed after it was applied/ })
    sub.match(await errorOf(migrate(connection, testFolder(sub))), { message: /there are none/ })
  })

  await t.test('the records of a newer control stop no older one', async (sub) => {
    await ask({ connectionString: postgres.url }, 'CREATE DATABASE newer')
    const connection = { connectionString: databaseOf('newer') }
    await migrate(connection)
    await ask(connection, "INSERT INTO migrations (name, sha256) VALUES ('999_later.sql', 'x')")
    await migrate(connection, migrationsFolder)
    sub.equal((await ask(connection, 'SELECT * FROM migrations')).length, names.length + 1)
  })

  await t.test('a database that is restarted is away for that long, and no more is to be done', async (sub) => {
    const store = await openStore(options)
    sub.teardown(store.close)
    await store.createApp('before')
    // Several connections, all of which the restart ends while they lie unused.
    await Promise.all(Array.from({ length: 8 }, () => store.listApps({ limit: 1, after: null })))
    for (const away of [postgres.stop, postgres.kill9]) {
      await away()
      for (const call of [() => store.ping(), () => store.createApp('meanwhile')])
        sub.match(await errorOf(call()), { code: 'database_unavailable', message: /ECONNREFUSED/ })
      sub.match(await errorOf(openStore(options)), { code: 'database_unavailable' })
      await postgres.start()
      sub.match(await store.findApp('before'), { name: 'before' })
      sub.equal(await store.findApp('meanwhile'), undefined)
    }
  })

  await t.test('a connection that an administrator ends fails a write under way, and no later one', async (sub) => {
    const store = await openStore(options)
    const lock = await holdTable(postgres.url, 'applications')
    sub.teardown(async () => {
      await lock.release()
      await store.close()
    })
    const [write, read] = [errorOf(store.createApp('ended')), store.findApp('before')]
    const waiting = "FROM pg_stat_activity WHERE application_name = 'aether-control' AND wait_event_type = 'Lock'"
    await eventually(
      'both to wait',
      async () => (await ask({ connectionString: postgres.url }, `SELECT 1 ${waiting}`)).length === 2,
    )
    await ask({ connectionString: postgres.url }, `SELECT pg_terminate_backend(pid) ${waiting}`)
    sub.match(await write, { code: 'database_unavailable', cause: { code: '57P01' } })
    await lock.release()
    sub.match(await read, { name: 'before' }, 'a read is tried again')
    sub.equal(await store.findApp('ended'), undefined)
    sub.match(await store.createApp('ended'), { isNew: true })
  })

  await t.test('a wrong URL is refused without showing its password, and a wrong database by name', async (sub) => {
    for (const databaseUrl of [
      'mysql://u:geheim@h/d',
      'postgres://u:geheim@h:99999/d',
      'postgres://u:geheim@h/d?sslrootcert=/nowhere/ca.pem',
      'geheim',
    ]) {
      const error = await errorOf(openStore({ databaseUrl, dataFolder: '' }))
      sub.match(error, { code: 'malformed', field: 'DATABASE_URL' })
      sub.notMatch(JSON.stringify(error) + String(error), 'geheim')
    }
    const missing = await errorOf(openStore({ databaseUrl: databaseOf('missing'), dataFolder: '' }))
    sub.match(missing, { code: 'database_unavailable', message: /"missing" does not exist/ })
  })
})

await test('a server that accepts and says nothing is given up', async (t) => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const error = await errorOf(openStore({ databaseUrl: `postgres://u@127.0.0.1:${port}/d`, dataFolder: '' }))
  t.match(error, { code: 'database_unavailable', message: /timeout/ })
})
