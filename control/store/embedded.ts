// The database where none is configured: PGlite in a thread, on a socket that only this user can open. For development and a
// single replica: it survives kill -9, but it does not fsync, so the last writes may be lost with the machine.
import { chmod, type FileHandle, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { lockFolder } from '@aether/runtime/folder-lock'
import type { PoolConfig } from 'pg'
import { ControlError } from '../domain/errors.ts'

const restartMs = 1_000
const stopMs = 5_000

export interface Embedded {
  readonly connection: PoolConfig
  stop(): Promise<void>
}

/** Throws ControlError `storage_unavailable` where the folder is in use, or cannot be written. */
export async function startEmbedded(dataFolder: string): Promise<Embedded> {
  const root = join(dataFolder, 'database')
  const lock = await lockFolder(join(root, 'lock')).catch((cause: unknown) => {
    throw unusable(root, cause)
  })
  if (lock === undefined)
    throw new ControlError(
      'storage_unavailable',
      `another process works on ${root}: give each its own data folder, or all of them one PostgreSQL by DATABASE_URL`,
    )
  let folder: FileHandle | undefined
  try {
    await chmod(root, 0o700)
    const sockets = join(root, 'socket')
    await mkdir(sockets, { recursive: true, mode: 0o700 })
    // Through the folder's descriptor, because a socket's path may have no more than 107 bytes (unix(7)).
    folder = await open(sockets, 'r')
    const host = `/proc/self/fd/${folder.fd}`
    const thread = await keepThread({ folder: join(root, 'data'), socket: join(host, '.s.PGSQL.5432') })
    const held = folder
    return {
      connection: {
        host,
        port: 5432,
        user: 'postgres',
        database: 'postgres',
        ssl: false,
        // It has one session, which every connection finds as the one before left it.
        max: 1,
        verify: (client, done) => client.query('DISCARD ALL', (error) => done(error)),
      },
      async stop() {
        await thread.stop()
        await held.close()
        await lock.release()
      },
    }
  } catch (error) {
    await folder?.close()
    await lock.release()
    throw error instanceof ControlError ? error : unusable(root, error)
  }
}

interface Place {
  readonly folder: string
  readonly socket: string
}

/** A thread that is started again where it ends unasked. */
async function keepThread(place: Place): Promise<{ stop(): Promise<void> }> {
  const stopping = new AbortController()
  let thread = await startThread(place)
  const kept = (async () => {
    for (;;) {
      await thread.ended
      if (stopping.signal.aborted) return
      await sleep(restartMs, undefined, { signal: stopping.signal }).catch(() => {})
      if (stopping.signal.aborted) return
      thread = await startThread(place).catch(() => ({ ended: Promise.resolve(), stop: () => {} }))
      if (stopping.signal.aborted) thread.stop()
    }
  })()
  return {
    async stop() {
      stopping.abort()
      thread.stop()
      await kept
    },
  }
}

function startThread(place: Place): Promise<{ readonly ended: Promise<void>; stop(): void }> {
  const worker = new Worker(new URL('./embedded-worker.ts', import.meta.url), { workerData: place })
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  return new Promise((resolve, reject) => {
    // Kept after the start: without a listener the end of the thread would end the process.
    worker.on('error', reject)
    worker.once('exit', () => reject(new Error('the thread of the database ended before it was ready')))
    const stop = () => {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage('stop')
      setTimeout(() => void worker.terminate(), stopMs).unref()
    }
    worker.once('message', () => resolve({ ended, stop }))
  })
}

function unusable(root: string, cause: unknown): ControlError {
  const said = cause instanceof Error ? cause.message : String(cause)
  return new ControlError(
    'storage_unavailable',
    `the database in ${root} cannot be opened (${said}): give a data folder that this user may write, or DATABASE_URL`,
    { cause },
  )
}
