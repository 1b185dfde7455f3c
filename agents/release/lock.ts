// One writer of the volume at a time: whoever listens on the socket file `lock` holds it. The kernel lets go of it when
// its process ends, however it ends, and it needs no process ids, which mean nothing across containers.
import { mkdir, open, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import type { VolumeLayout } from '@aether/contract/layout'
import { refusal } from '@aether/contract/reasons'
import { toDiskError } from './disk-error.ts'

export interface VolumeLock {
  release(): Promise<void>
}

/** Throws ReasonError `busy` where another process holds the volume. */
export async function lockVolume(layout: VolumeLayout): Promise<VolumeLock> {
  try {
    await mkdir(layout.root, { recursive: true })
  } catch (error) {
    throw await toDiskError(error, layout.root)
  }
  // Through the folder's descriptor, because a socket's path may have no more than 107 bytes (unix(7)).
  const folder = await open(layout.root, 'r')
  const path = `/proc/self/fd/${folder.fd}/lock`
  const server = createServer((socket) => socket.destroy())
  try {
    await listen(server, path).catch(async (error: unknown) => {
      if (!isCode(error, 'EADDRINUSE')) throw await toDiskError(error, layout.root)
      if (await answers(path))
        throw refusal('busy', 'locked', `another process works on ${layout.root}: two fetchers cannot share a volume`)
      await rm(path, { force: true })
      await listen(server, path)
    })
  } catch (error) {
    await folder.close()
    throw error
  }
  server.unref()
  return {
    async release() {
      await new Promise<void>((resolve) => server.close(() => resolve()))
      await folder.close()
    },
  }
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
    socket.once('error', () => resolve(false))
  })
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
