// One writer of the volume at a time. Whoever wants it
//  1 listens on a socket of its own in the folder `lock`
//  2 asks every other socket there: one that answers holds the volume, or wants it too; one that does not was left by a
//    process that is gone, because the kernel ends the listening however its process ends
//  3 withdraws where one answered.
// Everyone listens before it asks, so no two can hold. No process ids: they mean nothing across containers.
import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import type { VolumeLayout } from '@aether/contract/layout'
import { type ReasonError, refusal } from '@aether/contract/reasons'
import { toDiskError } from './disk-error.ts'

export interface VolumeLock {
  release(): Promise<void>
}

/** Throws ReasonError `busy` where another process holds the volume, `disk_full` or `read_only` where it takes no socket. */
export async function lockVolume(layout: VolumeLayout): Promise<VolumeLock> {
  try {
    await mkdir(layout.lock, { recursive: true })
  } catch (error) {
    throw await toDiskError(error, layout.root)
  }
  // Through the folder's descriptor, because a socket's path may have no more than 107 bytes (unix(7)).
  const folder = await open(layout.lock, 'r')
  const path = (name: string) => `/proc/self/fd/${folder.fd}/${name}`
  const mine = randomUUID()
  const server = createServer((socket) => socket.destroy())
  const release = async () => {
    await new Promise<void>((resolve) => server.close(() => resolve())) // removes the socket's file too
    await folder.close()
  }
  try {
    await listen(server, path(mine)) // 1
    for (const name of await readdir(layout.lock)) {
      if (name === mine) continue
      if (await answers(path(name))) throw busy(layout) // 3
      await rm(path(name), { force: true }) // 2
    }
    // Who asked between the making of this socket and its listening took it for one left behind.
    if (!(await readdir(layout.lock)).includes(mine)) throw busy(layout)
  } catch (error) {
    const reason = await toDiskError(error, layout.root)
    await release()
    throw reason
  }
  server.unref()
  return { release }
}

function busy({ root }: VolumeLayout): ReasonError {
  return refusal('busy', 'locked', `another process works on ${root}: two fetchers cannot share a volume`)
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
