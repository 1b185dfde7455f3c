// The pool of connections. One statement or one transaction a call; whoever fails by the connection loses it, and the pool
// makes another the next time.
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool, type PoolClient, type PoolConfig } from 'pg'
import { isConnectionLost, isTimeout, toControlError } from './pg-error.ts'

export type Value = string | number | boolean | null | Date | readonly string[] | Readonly<Record<string, string>>
export type Values = readonly Value[]

/** Runs one statement; answers its rows. */
export type Query = (sql: string, values?: Values) => Promise<readonly unknown[]>

/** Each throws ControlError as pg-error.ts says. */
export interface Database {
  /** Only reads: tried once more on another connection where the first was lost. */
  readonly read: Query
  /** One statement that writes: never tried twice. */
  readonly write: Query
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>
  close(): Promise<void>
}

const limits: PoolConfig = {
  application_name: 'aether-control',
  max: 10,
  /** Also how long a call waits for a connection of the pool. */
  connectionTimeoutMillis: 5_000,
  idleTimeoutMillis: 30_000,
  keepAlive: true,
  statement_timeout: 10_000,
  lock_timeout: 5_000,
  idle_in_transaction_session_timeout: 10_000,
  /** The driver's own, for a server that is silent. */
  query_timeout: 15_000,
}

const closeMs = 5_000

export function createDatabase(config: PoolConfig): Database {
  const pool = new Pool({ ...limits, ...config })
  // Without listeners the end of an unused connection would end the process. The pool has let go of it by then.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))

  async function withClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await pool.connect().catch((error: unknown) => {
      throw toControlError(error)
    })
    let isLost = false
    try {
      return await work(client)
    } catch (error) {
      isLost = isConnectionLost(error)
      throw error
    } finally {
      client.release(isLost)
    }
  }

  const once: Query = (sql, values) => withClient((client) => run(client, sql, values))

  return {
    async read(sql, values) {
      try {
        return await once(sql, values).catch((error: unknown) => {
          if (!isConnectionLost(error) || isTimeout(error)) throw error
          return once(sql, values)
        })
      } catch (error) {
        throw toControlError(error)
      }
    },
    async write(sql, values) {
      try {
        return await once(sql, values)
      } catch (error) {
        throw toControlError(error)
      }
    },
    async transaction(work) {
      try {
        return await withClient((client) => inTransaction(client, work))
      } catch (error) {
        throw toControlError(error)
      }
    },
    // A server that is silent does not say goodbye either.
    close: () => Promise.race([pool.end(), sleep(closeMs, undefined, { ref: false })]),
  }
}

async function inTransaction<T>(client: PoolClient, work: (query: Query) => Promise<T>): Promise<T> {
  await client.query('BEGIN')
  try {
    const result = await work((sql, values) => run(client, sql, values))
    await client.query('COMMIT')
    return result
  } catch (error) {
    // Where the connection is lost, its transaction is too.
    if (!isConnectionLost(error)) await client.query('ROLLBACK')
    throw error
  }
}

async function run(client: PoolClient, sql: string, values: Values = []): Promise<readonly unknown[]> {
  const { rows } = await client.query<Record<string, unknown>, unknown[]>(sql, [...values])
  return rows
}
