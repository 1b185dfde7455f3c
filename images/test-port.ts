// For tests: a port for a server that is told one.
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** A port that is free, below those that the kernel gives to clients (ip_local_port_range): no connection takes it meanwhile. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(14_000, 30_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, () => resolve(true))
    })
    if (!isFree) continue
    await new Promise<void>((resolve) => server.close(() => resolve()))
    return port
  }
}
