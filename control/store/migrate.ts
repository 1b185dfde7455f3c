// Brings the tables up to date before anything is asked of them. Replicas start together, so they
//  1 wait for one lock, however long the first one works
//  2 hold what was applied against the files: an applied file never changes
//  3 apply the others in order, each in a transaction together with its record.
// Records of files that are not here are those of a newer control, and stay: an older replica may still be serving.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client, type ClientBase, type ClientConfig } from 'pg'
import { ControlError } from '../domain/errors.ts'
import { toControlError } from './pg-error.ts'
import { allOf } from './rows.ts'

/** Beside this file; a bundle carries the folder beside itself. */
export const migrationsFolder = join(import.meta.dirname, 'migrations')

const lockKey = 7_284_105_113 // any number that is ours
const lockWait = '10min'
const queryMs = 900_000 // the driver's own, for a server that is silent: longer than the lock may take

interface Migration {
  readonly name: string
  readonly sql: string
  readonly sha256: string
}

/** Throws ControlError `database_unavailable`, or `internal` where files and records do not fit or a file fails. */
export async function migrate(connection: ClientConfig, folder = migrationsFolder): Promise<void> {
  const migrations = await loadMigrations(folder)
  const client = new Client({
    application_name: 'aether-control migrations',
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    query_timeout: queryMs,
    ...connection,
  })
  client.on('error', () => {}) // the statement under way says it
  try {
    await client.connect()
    await client.query(`SET statement_timeout = 0; SET lock_timeout = '${lockWait}'`)
    await client.query('SELECT pg_advisory_lock($1)', [lockKey]) // 1
    try {
      await applyMissing(client, migrations)
    } finally {
      // Of the session, which with PGlite outlives the connection. One that is lost has let go of it.
      await client.query('SELECT pg_advisory_unlock($1)', [lockKey]).catch(() => {})
    }
  } catch (error) {
    throw toControlError(error)
  } finally {
    await client.end().catch(() => {})
  }
}

async function applyMissing(client: ClientBase, migrations: readonly Migration[]): Promise<void> {
  await client.query(`CREATE TABLE IF NOT EXISTS migrations (
    name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`)
  const { rows } = await client.query('SELECT name, sha256 FROM migrations')
  const applied = new Map(allOf(rows, (row) => [row.text('name'), row.text('sha256')] as const))
  const last = [...applied.keys()].toSorted().at(-1) ?? ''
  for (const { name, sha256 } of migrations) {
    const recorded = applied.get(name) // 2
    if (recorded !== undefined && recorded !== sha256)
      throw refused(`${name} was changed after it was applied: put it back, and write the change as a new file`)
    if (recorded === undefined && name < last)
      throw refused(`${name} stands before ${last}, which is applied: give it a number after that`)
  }
  for (const { name, sql, sha256 } of migrations) {
    if (applied.has(name)) continue
    await client.query('BEGIN') // 3
    try {
      await client.query(sql)
      await client.query('INSERT INTO migrations (name, sha256) VALUES ($1, $2)', [name, sha256])
      await client.query('COMMIT')
    } catch (cause) {
      await client.query('ROLLBACK').catch(() => {})
      const error = toControlError(cause)
      if (error instanceof ControlError && error.code === 'database_unavailable') throw error
      throw refused(
        `${name} failed (${cause instanceof Error ? cause.message : String(cause)}); nothing of it was kept`,
        cause,
      )
    }
  }
}

async function loadMigrations(folder: string): Promise<readonly Migration[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{3}_[a-z0-9_]+\.sql$/.test(name)).toSorted()
  if (names.length === 0) throw refused(`there are none in ${folder}`)
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(folder, name), 'utf8')
      return { name, sql, sha256: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

function refused(message: string, cause?: unknown): ControlError {
  return new ControlError('internal', `migrations: ${message}`, { cause })
}
