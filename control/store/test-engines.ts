// For tests: the same on both engines, with the words to write rows with.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestFromHex } from '@aether/contract/digest'
import { Client, type ClientConfig } from 'pg'
import type { DeploymentSpec, NewEvent, Report } from '../domain/model.ts'
import { startEmbedded } from './embedded.ts'
import type { StoreOptions } from './open.ts'
import { findPostgres, startPostgres, type TestPostgres } from './test-postgres.ts'

export interface Engine {
  readonly name: string
  readonly options: StoreOptions
  /** What a driver of one's own connects to, while no store is open. */
  connect(): Promise<{ readonly connection: ClientConfig; readonly stop: () => Promise<void> }>
  readonly remove: () => Promise<void>
}

export const noPostgres =
  findPostgres() === undefined
    ? {
        skip: 'NOT RUN on a real PostgreSQL: there is none in /usr/lib/postgresql or PATH; apt-get install postgresql-15',
      }
    : {}

export async function createPostgresEngine(): Promise<Engine & { readonly postgres: TestPostgres }> {
  const postgres = await startPostgres()
  return {
    name: 'PostgreSQL',
    postgres,
    options: { databaseUrl: postgres.url, dataFolder: '/nowhere' },
    connect: async () => ({ connection: { connectionString: postgres.url }, stop: async () => {} }),
    remove: postgres.remove,
  }
}

export function createEmbeddedEngine(): Engine {
  const dataFolder = mkdtempSync(join(tmpdir(), 'aether-embedded-'))
  return {
    name: 'PGlite',
    options: { databaseUrl: undefined, dataFolder },
    async connect() {
      const { connection, stop } = await startEmbedded(dataFolder)
      const { host, port, user, database } = connection
      return { connection: { host, port, user, database, ssl: false }, stop }
    },
    remove: async () => rmSync(dataFolder, { recursive: true, force: true }),
  }
}

/** One statement by a connection of its own. */
export async function ask(connection: ClientConfig, sql: string): Promise<readonly unknown[]> {
  const client = new Client(connection)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

/** Keeps everybody else from a table, readers too. */
export async function holdTable(url: string, table: string): Promise<{ release(): Promise<void> }> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query(`BEGIN; LOCK TABLE ${table}`)
  let released: Promise<void> | undefined
  return {
    release() {
      released ??= client.end()
      return released
    },
  }
}

/** The error that a call must throw. */
export async function errorOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => new Error('it did not throw'),
    (error: unknown) => error,
  )
}

export const someDigest = () => digestFromHex(randomBytes(32).toString('hex'))
export const someHex = (bytes: number) => randomBytes(bytes).toString('hex')

export const specOf = (app: string, namespace = 'default'): DeploymentSpec => ({
  app,
  namespace,
  environment: 'production',
  replicas: 2,
  devHot: true,
  port: 3000,
  readyPath: '/ready',
  env: { GREETING: 'héllo "x"' },
})

export const createEvent: NewEvent = {
  action: 'create',
  actor: 'ada',
  fromDigest: null,
  toDigest: null,
  status: null,
  reason: null,
  message: null,
}

export const reportOf = (podUid: string): Omit<Report, 'at'> => ({
  podUid,
  podName: `pod-${podUid}`,
  digest: someDigest(),
  outcome: 'ok',
  serving: someDigest(),
  reason: null,
  detail: null,
  message: null,
  ms: 812.5,
})
