// One holder of a folder at a time. Whoever wants it
//  1 listens on a socket of its own in the folder
//  2 asks every other socket there: one that answers holds it, or wants it too; one that does not was left by a
//    process that is gone, because the kernel ends the listening however its process ends
//  3 withdraws where one answered.
// Everyone listens before it asks, so no two can hold. No process ids: they mean nothing across containers.
import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { uniqueName } from './unique-name.ts'

export interface FolderLock {
  release(): Promise<void>
}

/** Undefined where another holds it. The folder is for this alone, and made where it is missing; rejects with the system's error. */
export async function lockFolder(path: string): Promise<FolderLock | undefined> {
  await mkdir(path, { recursive: true })
  // Through the folder's descriptor, because a socket's path may have no more than 107 bytes (unix(7)).
  const folder = await open(path, 'r')
  const socketOf = (name: string) => `/proc/self/fd/${folder.fd}/${name}`
  const mine = uniqueName()
  const server = createServer((socket) => socket.destroy())
  const release = async () => {
    await new Promise<void>((resolve) => server.close(() => resolve())) // removes the socket's file too
    await folder.close()
  }
  const withdraw = async () => {
    await release()
    return undefined
  }
  try {
    await listen(server, socketOf(mine)) // 1
    for (const name of await readdir(path)) {
      if (name === mine) continue
      if (await answers(socketOf(name))) return await withdraw() // 3
      await rm(socketOf(name), { force: true }) // 2
    }
    // Who asked between the making of this socket and its listening took it for one left behind.
    if (!(await readdir(path)).includes(mine)) return await withdraw()
  } catch (error) {
    await release()
    throw error
  }
  server.unref()
  return { release }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // Another user's, and no right to ask: it may well be held.
    socket.once('error', (error) => resolve('code' in error && error.code === 'EACCES'))
  })
}
