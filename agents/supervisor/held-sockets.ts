// The listening sockets, held here so that they outlive every process of the app: a connection waits in the backlog of the
// kernel while no process accepts. This process never accepts itself: what it has is the handle, not a server.
import { rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { isObject } from '@aether/contract/json'

export interface SocketKey {
  /** 0 for a unix socket. */
  readonly port: number
  /** Of a unix socket, absolute, or its abstract name; empty for a port. */
  readonly path: string
  /** As the app gave it to listen(); empty where it gave none. */
  readonly host: string
  readonly ipv6Only: boolean
}

/** What send() of a child takes: its types name net.Socket alone. */
type Handle = Socket & {
  readonly fd: number
  close(): void
}

export interface HeldSockets {
  /** Takes over what a process bound; the handle comes with a message of the channel, so it is looked at as input. */
  take(key: SocketKey, handle: unknown): void
  /** For another process that is to listen; undefined where it is not held. */
  handleOf(key: SocketKey): Socket | undefined
  list(): readonly (SocketKey & { readonly fd: number })[]
  has(port: number): boolean
  /** Whether a process that listens as the one before would share a socket with it: the port, or without one any path. */
  hasMain(port: number): boolean
  /** Closes those that `isKept` does not want, and removes the paths of theirs. */
  drop(isKept: (key: SocketKey) => boolean): void
}

/** An app with more ports than this is replaced one process at a time. */
const mostHeld = 64
/** What listen() takes is shorter (unix(7)); the folder is named by another name there. */
const longestPath = 4096

export function createHeldSockets(): HeldSockets {
  let held: readonly { readonly key: SocketKey; readonly handle: Handle }[] = []
  return {
    take(key, handle) {
      if (!isHandle(handle)) return
      const same = held.find((one) => isSame(one.key, key))
      // A path that was bound anew had been removed: nobody comes to the socket before any more.
      if (same !== undefined && key.path !== '') {
        same.handle.close()
        held = held.map((one) => (one === same ? { key, handle } : one))
      } else if (held.length >= mostHeld || same !== undefined) handle.close()
      else held = [...held, { key, handle }]
    },
    handleOf: (key) => held.find((one) => isSame(one.key, key))?.handle,
    list: () => held.map(({ key, handle }) => ({ ...key, fd: handle.fd })),
    has: (port) => held.some((one) => one.key.port === port),
    hasMain: (port) => held.some(({ key }) => isMain(key, port)),
    drop(isKept) {
      const [kept, dropped] = [held.filter((one) => isKept(one.key)), held.filter((one) => !isKept(one.key))]
      held = kept
      for (const { key, handle } of dropped) {
        handle.close()
        if (key.path !== '' && !key.path.startsWith('\0')) removePath(key.path)
      }
    },
  }
}

/** What the app is asked on: PORT, or where that is 0 its unix socket. */
export function isMain(key: SocketKey, port: number): boolean {
  return port === 0 ? key.path !== '' : key.port === port
}

export function isSame(a: SocketKey, b: SocketKey): boolean {
  return a.port === b.port && a.path === b.path && a.host === b.host && a.ipv6Only === b.ipv6Only
}

/** What a message of the channel says of a socket; undefined where it says nothing of one. */
export function parseSocketKey(value: unknown): SocketKey | undefined {
  if (!isObject(value)) return undefined
  const { port, path, host, ipv6Only } = value
  if (typeof port !== 'number' || typeof host !== 'string' || typeof ipv6Only !== 'boolean') return undefined
  if (typeof path !== 'string' || path.length > longestPath) return undefined
  return { port, path, host: host.slice(0, 255), ipv6Only }
}

/** As the process that bound it would have done when it closed it. */
function removePath(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {
    // Its folder is not ours to write any more: whoever listens there next finds it in the way, as after a crash.
  }
}

// A TCP or pipe handle of Node as it comes through the channel: there is no public type for it.
function isHandle(value: unknown): value is Handle {
  return isObject(value) && typeof value.fd === 'number' && value.fd >= 0 && typeof value.close === 'function'
}
