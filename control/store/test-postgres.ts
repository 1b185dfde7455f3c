// For tests: a real PostgreSQL of their own, in a folder below the system's, run by an unprivileged user (it refuses root).
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { eventually, freePort } from '@aether/runtime/test-process'
import { Client } from 'pg'

const nobody = 65_534
const asUser = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}

export interface TestPostgres {
  /** Of the database `postgres`; more can be made in it. */
  readonly url: string
  /** Resolves when it answers. */
  start(): Promise<void>
  /** As an administrator stops it: connections are ended (57P01). */
  stop(): Promise<void>
  /** As the kernel ends it. */
  kill9(): Promise<void>
  /** Stops it and removes its files. */
  remove(): Promise<void>
}

/** The folder with initdb and postgres: Debian's newest, else that of PATH; undefined where there is none. */
export function findPostgres(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).toSorted((a, b) => Number(b) - Number(a)) : []
  return [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ].find((folder) => existsSync(join(folder, 'postgres')) && existsSync(join(folder, 'initdb')))
}

/** Makes and starts one. Throws where findPostgres finds none. */
export async function startPostgres(): Promise<TestPostgres> {
  const bin = findPostgres()
  if (bin === undefined) throw new Error('there is no PostgreSQL: apt-get install postgresql-15')
  const folder = await mkdtemp(join(tmpdir(), 'aether-postgres-'))
  const [data, port] = [join(folder, 'data'), await freePort()]
  if (asUser.uid !== undefined) await chown(folder, nobody, nobody)
  const initdb = ['-D', data, '-U', 'aether', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync']
  await promisify(execFile)(join(bin, 'initdb'), initdb, { cwd: folder, env: {}, ...asUser })
  const url = `postgres://aether@127.0.0.1:${port}/postgres`
  const settings = { listen_addresses: '127.0.0.1', port, unix_socket_directories: folder, fsync: 'off' }
  const args = ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  let child: ChildProcess | undefined

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (child === undefined) return
    const gone = new Promise((resolve) => child?.once('exit', resolve))
    if (child.exitCode === null && child.signalCode === null) {
      const backends = childrenOf(child.pid)
      child.kill(signal)
      await gone
      // Those of a killed one answer until they notice.
      await eventually('the backends to be gone', () => Promise.resolve(!backends.some(isRunning)))
    }
    child = undefined
  }
  async function start(): Promise<void> {
    await eventually('PostgreSQL to answer', async () => {
      // After kill -9 it refuses to start until the last of its processes has gone.
      if (child === undefined || child.exitCode !== null)
        child = spawn(join(bin ?? '', 'postgres'), args, { cwd: folder, env: {}, stdio: 'ignore', ...asUser })
      return answers(url)
    })
  }
  const postgres: TestPostgres = {
    url,
    start,
    stop: () => end('SIGINT'),
    kill9: () => end('SIGKILL'),
    async remove() {
      await end('SIGINT')
      await rm(folder, { recursive: true, force: true })
    },
  }
  await start()
  return postgres
}

function childrenOf(pid: number | undefined): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

/** One that has ended and that nobody has asked for yet is none (state Z, proc_pid_stat(5)). */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 1_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } finally {
    await client.end().catch(() => {})
  }
}
