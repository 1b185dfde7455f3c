// The listening sockets, held here so that they outlive every process of the app: a connection waits in the backlog of the
// kernel while no process accepts. This process never accepts itself: what it has is the handle, not a server.
import { isObject } from '@aether/contract/json'

export interface SocketKey {
  readonly port: number
  /** As the app gave it to listen(); empty where it gave none. */
  readonly host: string
  readonly ipv6Only: boolean
}

interface Handle {
  readonly fd: number
  close(): void
}

export interface HeldSockets {
  /** Takes over what a process bound; the handle comes with a message of the channel, so it is looked at as input. */
  take(key: SocketKey, handle: unknown): void
  list(): readonly (SocketKey & { readonly fd: number })[]
  has(port: number): boolean
  /** Closes those that `isKept` does not want. */
  drop(isKept: (key: SocketKey) => boolean): void
}

/** An app with more ports than this is replaced one process at a time. */
const mostHeld = 64

export function createHeldSockets(): HeldSockets {
  let held: readonly { readonly key: SocketKey; readonly handle: Handle }[] = []
  return {
    take(key, handle) {
      if (!isHandle(handle)) return
      if (held.length >= mostHeld || held.some((one) => isSame(one.key, key))) handle.close()
      else held = [...held, { key, handle }]
    },
    list: () => held.map(({ key, handle }) => ({ ...key, fd: handle.fd })),
    has: (port) => held.some((one) => one.key.port === port),
    drop(isKept) {
      const [kept, dropped] = [held.filter((one) => isKept(one.key)), held.filter((one) => !isKept(one.key))]
      held = kept
      for (const { handle } of dropped) handle.close()
    },
  }
}

export function isSame(a: SocketKey, b: SocketKey): boolean {
  return a.port === b.port && a.host === b.host && a.ipv6Only === b.ipv6Only
}

/** What a message of the channel says of a socket; undefined where it says nothing of one. */
export function parseSocketKey(value: unknown): SocketKey | undefined {
  if (!isObject(value)) return undefined
  const { port, host, ipv6Only } = value
  if (typeof port !== 'number' || typeof host !== 'string' || typeof ipv6Only !== 'boolean') return undefined
  return { port, host: host.slice(0, 255), ipv6Only }
}

// A TCP handle of Node as it comes through the channel: there is no public type for it.
function isHandle(value: unknown): value is Handle {
  return isObject(value) && typeof value.fd === 'number' && value.fd >= 0 && typeof value.close === 'function'
}
