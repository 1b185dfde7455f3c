// A port of a Service on loopback, by `kubectl port-forward`: the way of a user whose machine reaches no pod. kubectl ends
// when the pod behind it does; it is started again with the same port, so that an address stays good.
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { until } from './until.ts'

const restartMs = 250

export interface PortForward {
  readonly origin: string
  close(): Promise<void>
}

export async function forwardPort(namespace: string, target: string, port: number): Promise<PortForward> {
  const over = new AbortController()
  let local: string | undefined
  let said = ''
  const kept = (async () => {
    while (!over.signal.aborted) {
      const ports = `${local ?? ''}:${port}`
      const child = execa('kubectl', ['port-forward', '--namespace', namespace, '--address=127.0.0.1', target, ports], {
        reject: false,
        buffer: false,
        all: true,
        cancelSignal: over.signal,
      })
      child.all.on('data', (piece: Buffer) => {
        said = `${said}${piece.toString()}`.slice(-2000)
        local ??= /Forwarding from 127\.0\.0\.1:(\d+)/.exec(said)?.[1]
      })
      await child
      await sleep(restartMs, undefined, { signal: over.signal }).catch(() => {})
    }
  })()
  const close = async () => {
    over.abort()
    await kept
  }
  try {
    const chosen = await until(`a port for ${target}`, async () => local)
    return { origin: `http://127.0.0.1:${chosen}`, close }
  } catch (error) {
    await close()
    throw new Error(`kubectl port-forward ${target} gives no port; it said: ${said}`, { cause: error })
  }
}
