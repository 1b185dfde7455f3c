// The thread that PGlite runs in, so that its work does not hold up the requests: PostgreSQL in WebAssembly behind a unix
// socket. What goes wrong in it ends the thread; embedded.ts starts another.
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { isObject } from '@aether/contract/json'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

if (parentPort === null || !isObject(workerData)) throw new Error('embedded-worker.ts runs in a thread of embedded.ts')
const { folder, socket } = workerData
if (typeof folder !== 'string' || typeof socket !== 'string')
  throw new TypeError('the thread wants a folder and a socket')

// Made beside its place and renamed: a crash in the making leaves no half of a database.
if (!existsSync(folder)) {
  const fresh = `${folder}.new`
  await rm(fresh, { recursive: true, force: true })
  const made = await PGlite.create(fresh)
  await made.close()
  await rename(fresh, folder)
}
const database = await PGlite.create(folder)
// An error of SQL is an answer. After a PANIC or FATAL, or what is thrown, the engine answers nothing any more.
const execute = database.execProtocolRawStream.bind(database)
database.execProtocolRawStream = async (message, options) => {
  const onRawData = (data: Uint8Array) => {
    if (/\0V(PANIC|FATAL)\0/.test(Buffer.from(data).toString('latin1'))) end(new Error('the engine has stopped'))
    options.onRawData?.(data)
  }
  return execute(message, { ...options, onRawData }).catch((error: unknown) => {
    end(error)
    throw error
  })
}
await rm(socket, { force: true })
// One connection is used; a lost one may still be on its way out when the next comes.
const server = new PGLiteSocketServer({ db: database, path: socket, maxConnections: 4 })
await server.start()

parentPort.once('message', () => void stop())
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort.postMessage('ready')

async function stop(): Promise<void> {
  await server.stop()
  await database.close()
  process.exit() // of a thread: ends the thread
}

/** Ends the thread by an error, after what was answered has gone out. */
function end(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}
