// The store on PostgreSQL, or on the embedded one where no URL is given. The tables are up to date when it opens.
import { Client, type PoolConfig } from 'pg'
import { ControlError } from '../domain/errors.ts'
import type { Store } from '../domain/ports.ts'
import { createApps } from './apps.ts'
import { createArtifacts } from './artifacts.ts'
import { createDatabase } from './database.ts'
import { createDeployments } from './deployments.ts'
import { startEmbedded } from './embedded.ts'
import { createEvents } from './events.ts'
import { migrate } from './migrate.ts'
import { createRetirement } from './retirement.ts'
import { createTokens } from './tokens.ts'
import { createTrees } from './trees.ts'

export interface StoreOptions {
  /** `postgres://user:password@host:5432/database`; undefined for the embedded one. */
  readonly databaseUrl: string | undefined
  /** Where the embedded one keeps its files, in `database/`. */
  readonly dataFolder: string
}

/** Throws ControlError `malformed` for the URL, `database_unavailable`, or `storage_unavailable` for the folder. */
export async function openStore({ databaseUrl, dataFolder }: StoreOptions): Promise<Store> {
  if (databaseUrl !== undefined) return openOn(parseUrl(databaseUrl), async () => {})
  const embedded = await startEmbedded(dataFolder)
  try {
    return await openOn(embedded.connection, embedded.stop)
  } catch (error) {
    await embedded.stop()
    throw error
  }
}

async function openOn(connection: PoolConfig, stop: () => Promise<void>): Promise<Store> {
  await migrate(connection)
  const database = createDatabase(connection)
  let closed: Promise<void> | undefined
  return {
    ...createApps(database),
    ...createArtifacts(database),
    ...createRetirement(database),
    ...createDeployments(database),
    ...createEvents(database),
    ...createTokens(database),
    ...createTrees(database),
    async ping() {
      await database.read('SELECT 1')
    },
    close() {
      closed ??= database.close().then(stop)
      return closed
    },
  }
}

/** Here, because what is thrown for a wrong one shows the password. */
function parseUrl(databaseUrl: string): PoolConfig {
  const config = { connectionString: databaseUrl }
  if (!/^postgres(ql)?:\/\//.test(databaseUrl) || !URL.canParse(databaseUrl)) throw malformed('it is none')
  try {
    Reflect.construct(Client, [config]) // the driver reads it, without connecting
  } catch (error) {
    throw malformed(error instanceof Error && 'syscall' in error ? error.message : 'the driver cannot read it')
  }
  return config
}

function malformed(why: string): ControlError {
  return new ControlError(
    'malformed',
    `DATABASE_URL is no URL of PostgreSQL (${why}; it is not shown, for it may have a password): write postgres://user:password@host:5432/database`,
    { field: 'DATABASE_URL' },
  )
}
